//go:build linux && amd64

package vmtest

import (
	"testing"

	"skyhaul/bufferstore"
)

func TestLedgerSeesWhatIsLostAndWrong(t *testing.T) {
	const kept, expired, damaged = bufferstore.Kept, bufferstore.Expired, bufferstore.Damaged
	for name, c := range map[string]struct {
		told        []run
		cursor      bufferstore.Seq
		lost, wrong uint64
	}{
		"all there":               {[]run{{1, 100, "a", kept}}, 10, 0, 0},
		"delivered and gone":      {[]run{{1, 20, "", expired}, {21, 100, "a", kept}}, 20, 0, 0},
		"more than was reported":  {[]run{{1, 110, "a", kept}, {111, 112, "a", damaged}}, 10, 0, 0},
		"the end is missing":      {[]run{{1, 93, "a", kept}}, 10, 7, 0},
		"nothing is there":        {nil, 10, 100, 0},
		"a damaged part":          {[]run{{1, 40, "a", kept}, {41, 50, "a", damaged}, {51, 100, "a", kept}}, 10, 10, 0},
		"gone but not delivered":  {[]run{{1, 20, "", expired}, {21, 100, "a", kept}}, 10, 20, 0},
		"under another epoch":     {[]run{{1, 98, "a", kept}, {99, 100, "b", kept}}, 10, 0, 2},
		"a number without a word": {[]run{{1, 40, "a", kept}, {42, 100, "a", kept}}, 10, 0, 1},
		"the cursor went back":    {[]run{{1, 100, "a", kept}}, 9, 0, 1},
		"the cursor went ahead":   {[]run{{1, 100, "a", kept}}, 21, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var l ledger
			l.hear(line{Said: durable, Epoch: "a", First: 1, Last: 60})
			l.hear(line{Said: acking, Acked: 10})
			l.hear(line{Said: durable, Epoch: "a", First: 61, Last: 100, Acked: 10})
			l.hear(line{Said: acking, Acked: 20})
			l.hear(line{Said: cursor, Acked: c.cursor})
			for _, r := range c.told {
				l.hear(line{Said: holds, Epoch: r.epoch, First: r.first, Last: r.last, Lost: r.lost})
			}
			l.judge()
			if l.lost != c.lost || l.wrong != c.wrong || len(l.faults) == 0 != (c.lost+c.wrong == 0) {
				t.Errorf("lost %d, wrong %d, want %d and %d: %q", l.lost, l.wrong, c.lost, c.wrong, l.faults)
			}
		})
	}
}

func TestLostNumberDoesNotComeBack(t *testing.T) {
	l := ledger{runs: []run{{1, 5, "a", bufferstore.Damaged}, {6, 9, "a", bufferstore.Kept}}}
	l.hear(line{Said: cursor})
	l.hear(line{Said: holds, Epoch: "a", First: 1, Last: 9})
	if l.judge(); l.wrong != 5 {
		t.Errorf("wrong %d, want 5: %q", l.wrong, l.faults)
	}
}
