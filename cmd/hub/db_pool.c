/* The handles of db.h that wait for a thread. */
#include "db.h"

#include <pthread.h>
#include <stdlib.h>

enum { POOL = 32 };

struct db_pool {
	pthread_mutex_t lock;
	char *path;
	size_t n;
	struct db *idle[POOL];
};

struct db_pool *db_pool_new(const char *path)
{
	struct db_pool *pool = xcalloc(1, sizeof *pool);

	pthread_mutex_init(&pool->lock, NULL);
	pool->path = xstrdup(path);
	return pool;
}

struct db *db_take(struct db_pool *pool, struct err *e)
{
	struct db *db = NULL;

	pthread_mutex_lock(&pool->lock);
	if (pool->n)
		db = pool->idle[--pool->n];
	pthread_mutex_unlock(&pool->lock);
	return db ? db : db_open(pool->path, false, e);
}

void db_give(struct db_pool *pool, struct db *db)
{
	if (db == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	if (pool->n < POOL) {
		pool->idle[pool->n++] = db;
		db = NULL;
	}
	pthread_mutex_unlock(&pool->lock);
	db_close(db);
}

void db_pool_free(struct db_pool *pool)
{
	while (pool->n)
		db_close(pool->idle[--pool->n]);
	pthread_mutex_destroy(&pool->lock);
	free(pool->path);
	free(pool);
}
