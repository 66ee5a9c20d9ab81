/*
 * Any text where the configuration file should be: no crash, either values or one sentence, and
 * places that lie in the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decide/config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fr_config_file *file = NULL;
	char error[256] = "";
	unsigned line, column;

	if (fr_config_file_parse((const char *)data, size, &file, error, sizeof(error)) < 0) {
		if (file || !*error || strlen(error) >= sizeof(error))
			abort();
		return 0;
	}
	for (size_t i = 0; i < file->len && i < 100; i++) {
		fr_config_file_locate(file, &file->values[i].place, &line, &column);
		if (line == 0 || column == 0 || line + column > size + 2)
			abort();
	}
	fr_config_file_free(file);
	return 0;
}
