/*
 * board: what the master and its workers tell each other. See board.h.
 */
#include <uwsgi.h>

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "reload/board.h"

extern struct uwsgi_server uwsgi;

static struct fr_board_slot *slots;

int fr_board_open(int len)
{
	slots = mmap(NULL, ((size_t)len + 1) * sizeof(*slots), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED)
		return -errno;
	for (int wid = 1; wid <= len; wid++) {
		slots[wid].leave_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (slots[wid].leave_fd < 0)
			return -errno;
	}
	return 0;
}

/* Slot 0 is the master's, and has no worker. */
void fr_board_want_apps(uint32_t apps)
{
	fr_board_set(&slots[0].apps, apps);
}

uint32_t fr_board_wanted_apps(void)
{
	return fr_board_get(&slots[0].apps);
}

void fr_board_tell_not_to_load(bool is_broken)
{
	fr_board_set(&slots[0].must_hold, is_broken);
}

bool fr_board_is_not_to_load(void)
{
	return fr_board_get(&slots[0].must_hold) != 0;
}

struct fr_board_slot *fr_board_slot(int wid)
{
	return &slots[wid];
}

static void wipe(struct fr_board_slot *slot, bool is_ours)
{
	uint64_t count;

	*slot = (struct fr_board_slot){.must_hold = is_ours,
				       .is_ours = is_ours,
				       .ticket = slot->ticket + 1,
				       .leave_fd = slot->leave_fd};
	if (read(slot->leave_fd, &count, sizeof(count)) < 0)
		return; /* EAGAIN: nobody told the last one to leave */
}

void fr_board_clear(int wid)
{
	wipe(&slots[wid], true);
}

void fr_board_leave_to_uwsgi(int wid)
{
	wipe(&slots[wid], false);
}

bool fr_board_enter(int wid)
{
	bool is_ours = slots[wid].is_ours;

	if (!is_ours)
		wipe(&slots[wid], false);
	slots[wid].is_ours = 0;
	return is_ours;
}

/* The order matters: whoever is woken finds the flag. */
void fr_board_leave(int wid)
{
	uint64_t one = 1;

	__atomic_store_n(&uwsgi.workers[wid].manage_next_request, 0, __ATOMIC_SEQ_CST);
	if (write(slots[wid].leave_fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: told 2^64 times */
	(void)syscall(SYS_futex, &slots[wid].may_go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void fr_board_go(int wid)
{
	fr_board_set(&slots[wid].may_go, 1);
	(void)syscall(SYS_futex, &slots[wid].may_go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* A signal may end this early, as the time-out may: nobody relies on it. */
static void await_change(const uint32_t *word, uint32_t value, int ms)
{
	const struct timespec most = {.tv_nsec = (long)ms * 1000000};

	(void)syscall(SYS_futex, word, FUTEX_WAIT, value, &most, NULL, 0);
}

/* In slot 0 the answers of all are counted. */
void fr_board_tell_answered(int wid)
{
	if (fr_board_get(&slots[wid].has_answered))
		return;
	fr_board_set(&slots[wid].has_answered, 1);
	(void)syscall(SYS_futex, &slots[wid].has_answered, FUTEX_WAKE, 1, NULL, NULL, 0);
	__atomic_add_fetch(&slots[0].has_answered, 1, __ATOMIC_SEQ_CST);
	(void)syscall(SYS_futex, &slots[0].has_answered, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void fr_board_await_answered(int wid, int ms)
{
	await_change(&slots[wid].has_answered, 0, ms);
}

void fr_board_note_replaced(int wid)
{
	fr_board_set(&slots[wid].replaced_at, fr_board_get(&slots[0].has_answered) + 1);
}

void fr_board_await_successor(int wid, int ms)
{
	uint32_t replaced_at = fr_board_get(&slots[wid].replaced_at);

	if (replaced_at)
		await_change(&slots[0].has_answered, replaced_at - 1, ms);
}

/*
 * The time-out is for a master that is killed: nobody else would ever wake this worker. Only then
 * its parent is looked at: at first that may be a process on its way out.
 */
bool fr_board_hold(int wid)
{
	const struct timespec second = {.tv_sec = 1};

	while (!fr_board_get(&slots[wid].may_go)) {
		if (!__atomic_load_n(&uwsgi.workers[wid].manage_next_request, __ATOMIC_SEQ_CST))
			return false;
		if (syscall(SYS_futex, &slots[wid].may_go, FUTEX_WAIT, 0, &second, NULL, 0) < 0 &&
		    errno == ETIMEDOUT && getppid() != uwsgi.workers[0].pid)
			return false;
	}
	return true;
}
