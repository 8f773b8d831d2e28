package batch

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAllowanceIsSpentAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := allowance{percent: 10}
		spend := func(d time.Duration) {
			t.Helper()
			if !a.left() {
				t.Errorf("nothing is left before %v", d)
			}
			begin := time.Now()
			time.Sleep(d)
			a.spend(begin)
		}
		spend(3 * time.Second)
		spend(4 * time.Second) // 10 % of a minute are 6 s
		if a.left() {
			t.Error("7 s of 6 are spent, and something is left")
		}
		time.Sleep(20 * time.Second)
		spend(time.Second)
		var all allowance
		time.Sleep(time.Hour)
		if all.spend(time.Now().Add(-time.Hour)); !all.left() {
			t.Error("a whole core is not enough")
		}
	})
}
