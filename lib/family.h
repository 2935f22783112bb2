/* base: all processes that descend from this one.
 *
 * A process that others may leave orphans to (a subreaper, prctl(2)) is the
 * ancestor of all that it started, whatever they do: nothing escapes. */
#ifndef AGENTRUX_FAMILY_H
#define AGENTRUX_FAMILY_H

/* Sends the signal to every descendant of the calling process. One that is
 * started meanwhile may be missed: repeat until none is left. */
void family_signal(int sig);

#endif
