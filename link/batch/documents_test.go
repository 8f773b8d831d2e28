package batch_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

var key = batch.SiteKey([]byte("the hub's own"), "well-7")

func fullAck() *batch.Ack {
	a := &batch.Ack{At: 1763820000123}
	for _, lane := range point.Lanes() {
		for n := range byte(8) {
			l := batch.LaneAck{
				Lane: lane, Epoch: bufferstore.Epoch{byte(lane), n, 3, 4, 5, 6, 7, 8}, Floor: 1000 * bufferstore.Seq(n),
				Whole: n == 0, Fresh: n == 7,
			}
			for r := range bufferstore.Seq(8) {
				l.Stored = append(l.Stored, batch.Range{First: l.Floor + 2 + 10*r, Last: l.Floor + 5 + 10*r})
				l.Wanted = append(l.Wanted, batch.Range{First: 1 + r, Last: 1 + r})
			}
			a.Lanes = append(a.Lanes, l)
		}
	}
	return a
}

func TestAckComesBackAsItWas(t *testing.T) {
	for _, a := range []*batch.Ack{
		{},
		{At: 1, Lanes: []batch.LaneAck{{Lane: point.History, Epoch: epoch, Floor: 77, Whole: true}}},
		{At: math.MaxInt64, Lanes: []batch.LaneAck{{Lane: point.Alarm, Wanted: []batch.Range{{First: 1, Last: math.MaxUint64}}}}},
		fullAck(),
	} {
		p, err := a.Marshal(key, "well-7")
		if err != nil {
			t.Fatal(err)
		}
		got, err := batch.ParseAck(p, key, "well-7")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAckOfAQuietSiteIsShort(t *testing.T) {
	a := &batch.Ack{At: 1763820000123}
	for _, lane := range point.Lanes() {
		a.Lanes = append(a.Lanes, batch.LaneAck{Lane: lane, Epoch: epoch, Floor: 5e6, Whole: true})
	}
	if p, err := a.Marshal(key, "well-7"); err != nil || len(p) > 110 {
		t.Errorf("%d bytes, %v", len(p), err)
	}
}

func TestAckOverItsLimitsIsRefused(t *testing.T) {
	nine := fullAck()
	nine.Lanes = append(nine.Lanes, nine.Lanes[0])
	stored := fullAck()
	stored.Lanes[3].Stored = append(stored.Lanes[3].Stored, batch.Range{First: 1e6, Last: 1e6})
	wanted := fullAck()
	wanted.Lanes[3].Wanted = append(wanted.Lanes[3].Wanted, batch.Range{First: 1e6, Last: 1e6})
	falling := fullAck()
	falling.Lanes[3].Stored[4] = falling.Lanes[3].Stored[2]
	below := &batch.Ack{Lanes: []batch.LaneAck{{Lane: point.Alarm, Floor: 9, Stored: []batch.Range{{First: 9, Last: 12}}}}}
	inside := &batch.Ack{Lanes: []batch.LaneAck{{Lane: point.Alarm, Stored: []batch.Range{{First: 12, Last: 9}}}}}
	lane := &batch.Ack{Lanes: []batch.LaneAck{{Lane: 7}}}
	for what, a := range map[string]*batch.Ack{
		"nine epochs": nine, "nine stored": stored, "nine wanted": wanted, "falling ranges": falling,
		"range at the floor": below, "range that ends before it begins": inside, "no such lane": lane,
	} {
		if _, err := a.Marshal(key, "well-7"); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if _, err := fullAck().Marshal(key, "Well 7"); err == nil {
		t.Error("a wrong site id was taken")
	}
}

func TestDownComesBackAsItWas(t *testing.T) {
	d := &batch.Down{At: 1763820000123, Commands: []batch.Command{
		{ID: 1, Deadline: 1763820060000, Body: []byte(`{"write": 1}`)},
		{ID: math.MaxUint64, Deadline: -5, Body: bytes.Repeat([]byte{0xff}, 1024)},
	}}
	p, err := d.Marshal(key, "well-7")
	if err != nil {
		t.Fatal(err)
	}
	got, err := batch.ParseDown(p, key, "well-7")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, got); diff != "" {
		t.Error(diff)
	}
	d.Commands[0].Body = make([]byte, 1025)
	if _, err := d.Marshal(key, "well-7"); err == nil {
		t.Error("a body of 1025 bytes was taken")
	}
	if _, err := (&batch.Down{Commands: make([]batch.Command, 33)}).Marshal(key, "well-7"); err == nil {
		t.Error("33 commands were taken")
	}
}

func TestDocumentOfAnotherKeySiteOrKindIsRefused(t *testing.T) {
	p, err := (&batch.Ack{}).Marshal(key, "well-7")
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err = batch.ParseAck(p, batch.SiteKey([]byte("the hub's own"), "well-8"), "well-7")
	refused("another key", err, batch.ErrMAC)
	_, err = batch.ParseAck(p, key, "well-8")
	refused("another site", err, batch.ErrMAC)
	_, err = batch.ParseDown(p, key, "well-7")
	refused("another kind", err, batch.ErrMAC)
	for i := 1; i < len(p); i++ {
		q := bytes.Clone(p)
		q[i] ^= 4
		_, err = batch.ParseAck(q, key, "well-7")
		refused("a changed byte", err, batch.ErrMAC)
	}
	q := bytes.Clone(p)
	q[0] = 2
	_, err = batch.ParseAck(q, key, "well-7")
	refused("a newer version", err, batch.ErrVersion)
	_, err = batch.ParseAck(nil, key, "well-7")
	refused("nothing: a retained document that was deleted", err, batch.ErrCorrupt)
}

func TestSiteKeyIsHMACOfTheSiteUnderTheMaster(t *testing.T) {
	// RFC 4231 section 4.3, test case 2.
	got := batch.SiteKey([]byte("Jefe"), "what do ya want for nothing?")
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("%x, want %s", got, want)
	}
}

func TestStateComesBackAsItWas(t *testing.T) {
	for _, c := range []struct{ in, want batch.State }{
		{batch.State{}, batch.State{}},
		{batch.State{Online: true, Config: [8]byte{1}, Next: time.Hour}, batch.State{Online: true, Config: [8]byte{1}, Next: time.Hour}},
		{batch.State{Next: 1}, batch.State{Next: time.Second}},
		{batch.State{Next: -time.Hour}, batch.State{}},
		{batch.State{Next: math.MaxInt64}, batch.State{Next: math.MaxUint32 * time.Second}},
	} {
		p := c.in.Marshal()
		got, err := batch.ParseState(p)
		if err != nil || got != c.want || len(p) > 15 {
			t.Errorf("%+v in %d bytes, %v; want %+v", got, len(p), err, c.want)
		}
	}
	for p, want := range map[string]error{
		"": batch.ErrCorrupt, "\x02\x00": batch.ErrVersion, "\x01\x02" + strings.Repeat("\x00", 9): batch.ErrCorrupt,
		"\x01\x01" + strings.Repeat("\x00", 10): batch.ErrCorrupt, "\x01\x01\x00": batch.ErrCorrupt,
	} {
		if s, err := batch.ParseState([]byte(p)); !errors.Is(err, want) || s != (batch.State{}) {
			t.Errorf("%x: %+v, %v; want %v", p, s, err, want)
		}
	}
}
