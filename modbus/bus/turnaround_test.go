package bus

import (
	"testing"
	"time"
)

func TestTimeoutIsMeanPlusFourDeviations(t *testing.T) {
	const ms = time.Millisecond
	var u turnaround
	check := func(want time.Duration) {
		t.Helper()
		if got := u.timeout(time.Second, time.Second); got != want {
			t.Errorf("timeout %v, want %v", got, want)
		}
	}
	check(1000 * ms) // knows nothing
	u.measured(80 * ms)
	check(240 * ms)
	u.measured(80 * ms)
	check(200 * ms)
	for range 50 {
		u.measured(80 * ms)
	}
	check(80*ms + 4*u.deviation)
	u.measured(160 * ms)
	check(90*ms + 4*u.deviation)
	if u.deviation < 20*ms {
		t.Errorf("deviation %v after a jump of 80 ms", u.deviation)
	}
	for range 100 {
		u.measured(0)
	}
	check(minTimeout)
	u.expired()
	u.expired()
	check(4 * minTimeout)
	for range 3 {
		u.expired()
	}
	check(1000 * ms)
	u.expired()
	check(minTimeout) // begins anew
	u.measured(0)
	check(minTimeout)
}
