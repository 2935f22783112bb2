#include "home.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An empty variable counts as unset. */
static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int home_open(struct statedir *home, const char *option,
	enum statedir_mode mode, struct err *e)
{
	const char *dir = option ? option : env("AGENTRUX_HOME");
	const char *user = env("HOME");
	struct passwd *pw;
	char *path;
	int r;

	*home = (struct statedir)STATEDIR_NONE;
	if (dir)
		return statedir_open(home, dir, mode, e);
	if (user == NULL) {
		pw = getpwuid(geteuid());
		user = pw ? pw->pw_dir : NULL;
	}
	if (user == NULL)
		return err_set(e, EX_CONFIG,
			"looking for the home folder: neither AGENTRUX_HOME "
			"nor HOME is set; set one, or use --home DIR");
	path = xasprintf("%s/.agentrux", user);
	r = statedir_open(home, path, mode, e);
	free(path);
	return r;
}

const char *home_base_url(const char *option)
{
	return option ? option : env("AGENTRUX_BASE_URL");
}

const char *home_base_url_source(const char *option)
{
	return option ? "--base-url" : "AGENTRUX_BASE_URL";
}

char *home_runtime_dir(void)
{
	const char *dir = env("AGENTRUX_RUNTIME_DIR");

	return dir ? xstrdup(dir)
		   : xasprintf("/dev/shm/agentrux-%u", (unsigned)geteuid());
}

bool home_allow_http(void)
{
	const char *v = env("AGENTRUX_ALLOW_HTTP");

	return v && strcmp(v, "1") == 0;
}

const char *home_ca_file(void)
{
	const char *file = env("CURL_CA_BUNDLE");

	return file ? file : env("SSL_CERT_FILE");
}

const char *home_ca_dir(void)
{
	return env("SSL_CERT_DIR");
}

const char *home_tmp_dir(void)
{
	const char *dir = env("TMPDIR");

	return dir ? dir : "/tmp";
}
