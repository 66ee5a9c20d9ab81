/*
 * start: what is set up once, before the application is loaded: the watch with its baseline, and
 * the generations.
 *
 * It joins watch and reload to what the settings say. When its functions run is fastreload.c's
 * business, what happens from then on is cycle's.
 */
#ifndef FR_START_H
#define FR_START_H

/*
 * Watches all folders and notes how their files look (init). May block, as long as all is listed.
 * Ends the process with one line where that is not possible; after a reload it leaves
 * fr_door.watcher NULL instead, because what runs is not to end.
 */
void fr_start_watching(void);

/* Prepares the instance for generations if they are possible, or notes why not (post_init). Ends
 * the process where --fastreload-action insists on them. */
void fr_start_generations(void);

/* Begins to read the contents of the files, so that a save that changes nothing is told from one
 * that does. After fr_start_generations. */
void fr_start_reading(void);

#endif
