/*
 * assets: what a browser has of a project. See assets.h.
 */
#include <string.h>
#include <strings.h>

#include "decide/assets.h"

/* README.rst shows them as they stand here. Not *.txt and *.xml: they are data as often. */
static const struct {
	const char *pattern; /* a "*" and an end of a name */
	enum fr_asset asset;
} assets[] = {
	{"*.css", FR_ASSET_EXCHANGED},  {"*.png", FR_ASSET_EXCHANGED},
	{"*.jpg", FR_ASSET_EXCHANGED},  {"*.jpeg", FR_ASSET_EXCHANGED},
	{"*.gif", FR_ASSET_EXCHANGED},  {"*.webp", FR_ASSET_EXCHANGED},
	{"*.avif", FR_ASSET_EXCHANGED}, {"*.svg", FR_ASSET_EXCHANGED},
	{"*.ico", FR_ASSET_EXCHANGED},  {"*.js", FR_ASSET_LOADED},
	{"*.mjs", FR_ASSET_LOADED},     {"*.woff", FR_ASSET_LOADED},
	{"*.woff2", FR_ASSET_LOADED},   {"*.html", FR_ASSET_TEMPLATE},
	{"*.htm", FR_ASSET_TEMPLATE},   {"*.djhtml", FR_ASSET_TEMPLATE},
	{"*.jinja", FR_ASSET_TEMPLATE}, {"*.jinja2", FR_ASSET_TEMPLATE},
	{"*.j2", FR_ASSET_TEMPLATE},    {"*.mako", FR_ASSET_TEMPLATE},
	{"*.pt", FR_ASSET_TEMPLATE},    {"*.erb", FR_ASSET_TEMPLATE},
	{"*.haml", FR_ASSET_TEMPLATE},  {"*.tt", FR_ASSET_TEMPLATE},
	{"*.ep", FR_ASSET_TEMPLATE},    {"*.etlua", FR_ASSET_TEMPLATE},
};

enum fr_asset fr_asset_of(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < sizeof(assets) / sizeof(*assets); i++) {
		size_t end_len = strlen(assets[i].pattern) - 1;

		if (len > end_len && strcasecmp(path + len - end_len, assets[i].pattern + 1) == 0)
			return assets[i].asset;
	}
	return FR_ASSET_NONE;
}

const char *fr_asset_pattern(size_t i)
{
	return i < sizeof(assets) / sizeof(*assets) ? assets[i].pattern : NULL;
}
