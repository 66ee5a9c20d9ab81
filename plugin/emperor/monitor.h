/*
 * monitor: the imperial monitor "fastreload", for uWSGI's Emperor:
 *
 *	emperor = fastreload:///etc/uwsgi/vassals
 *	emperor = fastreload:///srv/sites/<any>/vassal.ini      (a glob(3) pattern)
 *
 * Vassals start, reload and stop when their files come, change and go.
 */
#ifndef FR_MONITOR_H
#define FR_MONITOR_H

/* Makes the name known to uWSGI. While options are being read: the Emperor may start right after
 * that. */
void fr_monitor_register(void);

#endif
