# How uWSGI builds the plugin: `uwsgi --build-plugin .`, `uwsgi --build-plugin <git url>`, and `make`, which calls the former.
import glob
import importlib.util
import marshal
import os
import subprocess
import sys

# uWSGI executes this file without telling it where it lies (there is no __file__), and its current folder is any folder.
# The calling function, build_plugin(path, …), knows: its `path` is this folder, also for what it has cloned from a URL.
here = sys._getframe(1).f_locals.get('path', '.')

NAME = 'fastreload'

# Everything is hidden but what fastreload.c exports by name: uWSGI loads plugins into one namespace (RTLD_GLOBAL).
CFLAGS = ['-std=gnu11', '-fvisibility=hidden', '-I' + os.path.join(here, 'plugin')]
LDFLAGS = []
LIBS = ['-ljansson']

# Without it the compiler would name a header in the middle of many lines.
try:
    found = subprocess.run(
        [*os.environ.get('CC', 'cc').split(), '-E', '-x', 'c', '-'],
        input=b'#include <jansson.h>',
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
except OSError:
    found = None  # uWSGI has its own words for a compiler that is missing.
if found and found.returncode != 0:
    sys.exit('fastreload needs the headers of jansson: install libjansson-dev (Debian), or jansson-devel')

# What a loading process runs in Python, compiled, because to compile it there would take milliseconds of each start. It is
# taken by a Python that would take a .pyc file of the one that is running here, and the source by any other
# (reload/python.c). uWSGI has made this folder for its header.
if os.path.isdir('.uwsgi_plugins_builder'):
    with open(os.path.join(here, 'plugin', 'reload', 'agent.py'), encoding='utf-8') as file:
        code = marshal.dumps(compile(file.read(), '<string>', 'exec', dont_inherit=True, optimize=2))
    with open(os.path.join('.uwsgi_plugins_builder', 'fastreload_agent.h'), 'w') as file:
        file.write('#define FR_AGENT_MAGIC %d\n' % int.from_bytes(importlib.util.MAGIC_NUMBER, 'little'))
        file.write('#define FR_AGENT_CODE %s\n' % ','.join(map(str, code)))

# Every C file of plugin/ and of the rooms below it, relative to this folder and without ".c", as uWSGI wants them.
GCC_LIST = sorted(
    os.path.relpath(name, here)[:-len('.c')]
    for pattern in ('*.c', '*/*.c')
    for name in glob.glob(os.path.join(here, 'plugin', pattern))
)
