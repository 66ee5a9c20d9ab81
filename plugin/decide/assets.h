/*
 * assets: what a browser has of a project beside the code: style sheets, images, scripts, and the
 * templates that pages are made of.
 *
 * Names in, kinds out. With --fastreload-browser they count, and open pages follow them; without it
 * they are nobody's business.
 */
#ifndef FR_ASSETS_H
#define FR_ASSETS_H

#include <stddef.h>

enum fr_asset {
	FR_ASSET_NONE,
	FR_ASSET_EXCHANGED, /* in place: style sheets, images */
	FR_ASSET_LOADED,    /* by a page, which has to be loaded again: scripts, fonts */
	FR_ASSET_TEMPLATE,  /* by the application, which makes a page of it */
};

/* By the end of its name. */
enum fr_asset fr_asset_of(const char *path);

/* The gitignore-style patterns of all of them, for the rules; NULL behind the last; static. */
const char *fr_asset_pattern(size_t i);

#endif
