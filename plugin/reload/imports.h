/*
 * imports: which modules a copy of a process imports when it goes on, so that the next copy has
 * them compiled before it does.
 *
 * One copy writes, the others read, in memory that all copies of a process share. What is read is
 * a hint: whoever prepares for it looks at the files again when they are wanted. Knows neither
 * uWSGI nor Python.
 */
#ifndef FR_IMPORTS_H
#define FR_IMPORTS_H

#include <stdbool.h>
#include <stddef.h>

/* The longest text: some hundred modules. */
#define FR_IMPORTS_TEXT (64 * 1024)

struct fr_imports;

/* Memory that all copies of this process share. NULL: there is none; the others then do nothing. */
struct fr_imports *fr_imports_new(void);

/* In this process; others may go on with it. NULL is fine. */
void fr_imports_free(struct fr_imports *imports);

/* In a copy: its modules, as agent.py writes them; of a longer text nothing is kept. */
void fr_imports_note(struct fr_imports *imports, const char *text, size_t len);

/* In another copy: what was noted last, into text, which has FR_IMPORTS_TEXT bytes. Returns its
 * length; 0: nothing yet, or it is being written. */
size_t fr_imports_read(const struct fr_imports *imports, char *text);

#endif
