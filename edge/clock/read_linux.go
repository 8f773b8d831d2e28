package clock

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// probe reports whether the kernel has the clocks that read needs.
func probe() error {
	var ts unix.Timespec
	return unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
}

// read looks at all clocks. The wall time is read between two looks at
// boottime, again where the scheduler came between.
func read() reading {
	var r reading
	for range 5 {
		before := boottime()
		r.wall = time.Now()
		r.boottime = boottime()
		if r.boottime-before < time.Millisecond {
			break
		}
	}
	r.synced, r.maxError = discipline()
	return r
}

func boottime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // can't fail where probe didn't
	return time.Duration(ts.Nano())
}

// discipline asks the kernel whether its clock is kept in step by someone, and
// how far it may be off. Reading needs no privilege, but seccomp filters and
// containers like to refuse it: then nothing is known, which is not synced.
func discipline() (synced bool, maxError time.Duration) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil || t.Status&unix.STA_UNSYNC != 0 {
		return false, 0
	}
	return true, time.Duration(t.Maxerror) * time.Microsecond
}

// kernelBootID returns "" where /proc hides it (ProcSubset=pid does).
func kernelBootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(b)
}
