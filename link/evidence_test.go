package link

import (
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"

	"github.com/google/go-cmp/cmp"
)

// site is one lane whose store was opened three times: 1-100, 101-200, 201-.
type site struct {
	flight
	evidence
	t   *testing.T
	now time.Duration
}

var (
	first, second, third, stranger = bufferstore.Epoch{1}, bufferstore.Epoch{2}, bufferstore.Epoch{3}, bufferstore.Epoch{9}

	spans = []bufferstore.Span{
		{Epoch: first, First: 1, Last: 100},
		{Epoch: second, Parent: first, First: 101, Last: 200},
		{Epoch: third, Parent: second, First: 201, Last: 300},
	}
)

// newSite has sent everything up to sent, and the broker has taken it.
func newSite(t *testing.T, acked, sent bufferstore.Seq) *site {
	return &site{flight: flight{acked: acked, sent: sent, handed: sent}, evidence: newEvidence(time.Minute), t: t}
}

// hear takes an ack in after wait, and reports whether it wants a fresh start.
func (s *site) hear(wait time.Duration, entries ...batch.LaneAck) (reset bool) {
	s.now += wait
	return s.evidence.hear(&s.flight, entries, spans, s.now)
}

func (s *site) want(acked bufferstore.Seq, again ...batch.Range) {
	s.t.Helper()
	if s.flight.acked != acked {
		s.t.Errorf("acked is %d, want %d", s.flight.acked, acked)
	}
	if diff := cmp.Diff(ranges(again), s.flight.again); diff != "" {
		s.t.Errorf("to be sent again: %s", diff)
	}
}

// deliver sends what is to be sent again and lets the broker take it.
func (s *site) deliver() {
	for len(s.flight.again) > 0 {
		b := flown{Range: s.flight.again[0], again: true}
		s.flight.hand(b)
		s.evidence.stands(b.Range)
		s.flight.puback(b, s.now)
		s.evidence.puback(b.Range, s.now)
	}
}

func entry(e bufferstore.Epoch, floor bufferstore.Seq, whole bool, stored ...batch.Range) batch.LaneAck {
	return batch.LaneAck{Epoch: e, Floor: floor, Whole: whole, Stored: stored}
}

func TestFloorAcks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		acked bufferstore.Seq
		ack   []batch.LaneAck
		want  bufferstore.Seq
	}{
		{"of the first epoch", 0, []batch.LaneAck{entry(first, 50, true)}, 50},
		{"with all before acked", 100, []batch.LaneAck{entry(second, 150, false)}, 150},
		{"whole", 20, []batch.LaneAck{entry(third, 250, true)}, 250},
		{"not whole: only what joins", 20, []batch.LaneAck{entry(first, 90, true), entry(third, 250, false)}, 90},
		{"all epochs listed and complete", 20, []batch.LaneAck{entry(first, 100, true), entry(second, 200, false), entry(third, 210, false)}, 210},
		{"a floor above an old epoch is cut to what this image holds", 0, []batch.LaneAck{entry(first, 180, true)}, 100},
		{"nothing stored of an epoch, but all before it", 150, []batch.LaneAck{entry(third, 200, true)}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.acked, 300)
			s.hear(0, tt.ack...)
			s.want(tt.want)
			if s.ignored != (Ignored{}) {
				t.Errorf("ignored %+v", s.ignored)
			}
		})
	}
}

func TestEntryThatCantBeIsIgnoredAndCounted(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent bufferstore.Seq
		ack  batch.LaneAck
		want Ignored
	}{
		{"unknown epoch", 300, entry(stranger, 250, true), Ignored{UnknownEpoch: 1}},
		{"floor above what was sent", 250, entry(third, 251, true), Ignored{AboveSent: 1}},
		{"range above what was sent", 250, entry(third, 210, true, rng(220, 251)), Ignored{AboveSent: 1}},
		{"floor back", 250, entry(third, 209, true, rng(240, 245)), Ignored{FloorBack: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, 0, tt.sent)
			s.hear(0, entry(third, 210, true))
			s.hear(0, tt.ack)
			s.hear(time.Hour, tt.ack)
			s.want(210)
			tt.want = Ignored{UnknownEpoch: 2 * tt.want.UnknownEpoch, AboveSent: 2 * tt.want.AboveSent, FloorBack: 2 * tt.want.FloorBack}
			if diff := cmp.Diff(tt.want, s.ignored); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHoleGoesAgainAfterAMinuteAndNothingElse(t *testing.T) {
	s := newSite(t, 0, 280)
	ack := entry(third, 220, true, rng(231, 240), rng(251, 260))
	s.hear(0, ack)
	s.hear(59*time.Second, ack)
	s.want(220)
	s.hear(time.Second, entry(third, 220, true, rng(226, 240), rng(251, 260))) // a late batch
	s.want(220, rng(221, 225), rng(241, 250))
	if s.resent.Holes != 15 {
		t.Errorf("%d numbers of holes counted, want 15", s.resent.Holes)
	}
	s.deliver()
	s.hear(time.Second, entry(third, 225, true, rng(226, 240), rng(251, 260)))
	s.hear(30*time.Second, entry(third, 240, true, rng(251, 260)))
	s.want(240)
	s.hear(60*time.Second, entry(third, 240, true, rng(251, 260)))
	s.want(240, rng(241, 250))
}

func TestHoleIsOnlyWhatTheBrokerHasTaken(t *testing.T) {
	s := newSite(t, 200, 220)
	s.flight.handed = 260
	s.flight.aloft = []flown{{Range: rng(221, 240)}}
	ack := entry(third, 210, true, rng(241, 250))
	s.hear(0, ack)
	s.hear(time.Minute, ack)
	s.want(210, rng(211, 220))
}

func TestEndOfAnEpochIsAHoleBelowALaterOne(t *testing.T) {
	s := newSite(t, 0, 280)
	ack := []batch.LaneAck{entry(second, 180, true), entry(third, 250, false)}
	s.hear(0, ack...)
	s.hear(time.Minute, ack...)
	s.want(180, rng(181, 200))
}

func TestEpochThatTheHubHasNeverSeenIsAHole(t *testing.T) {
	s := newSite(t, 0, 280)
	ack := []batch.LaneAck{entry(first, 100, true), entry(third, 250, false)}
	s.hear(0, ack...)
	s.hear(time.Minute, ack...)
	s.want(100, rng(101, 200))
}

func TestWhatIsWantedExplainsWhyAnEpochIsNotWhole(t *testing.T) {
	s := newSite(t, 50, 280)
	ack := entry(third, 250, false)
	ack.Wanted = []batch.Range{rng(11, 20)}
	s.hear(0, ack)
	s.hear(time.Hour, ack)
	s.want(50, rng(11, 20))
}

func TestCompleteEpochsThatTheAckLeavesOutAreNoHole(t *testing.T) {
	s := newSite(t, 0, 280)
	s.hear(0, entry(first, 100, true), entry(second, 180, false))
	s.want(180)
	s = newSite(t, 20, 280) // started anew: what was said before is forgotten
	ack := []batch.LaneAck{entry(first, 90, true), entry(third, 250, false)}
	s.hear(0, ack...)
	s.hear(time.Minute, ack...)
	s.want(90, rng(91, 100))
}

func TestWantedGoesAgainOnceAMinute(t *testing.T) {
	s := newSite(t, 250, 280)
	ack := entry(third, 210, true)
	ack.Wanted = []batch.Range{rng(50, 60), rng(211, 250), rng(290, 299)}
	if !s.hear(0, ack) {
		t.Error("a hub that was restored is sent batches that lean on what it may have lost")
	}
	s.want(250, rng(50, 60), rng(211, 250))
	s.deliver()
	s.hear(59*time.Second, ack)
	s.want(250)
	s.hear(time.Second, ack)
	s.want(250, rng(50, 60), rng(211, 250))
	if s.resent.Wanted != 2*51 {
		t.Errorf("%d numbers counted, want 102", s.resent.Wanted)
	}
}

func TestWhatIsNoLongerWantedStays(t *testing.T) {
	s := newSite(t, 250, 280)
	ack := entry(third, 210, true)
	ack.Wanted = []batch.Range{rng(50, 60), rng(211, 250)}
	s.hear(0, ack)
	ack.Wanted = []batch.Range{rng(231, 240)}
	s.hear(time.Second, ack)
	s.want(250, rng(231, 240))
}

func TestFreshGoesAgainFromTheFloorButForWhatStandsAlone(t *testing.T) {
	s := newSite(t, 200, 250)
	ack := entry(third, 210, true, rng(221, 230))
	ack.Fresh = true
	if !s.hear(0, ack) {
		t.Error("no fresh start")
	}
	s.want(210, rng(211, 220), rng(231, 250))
	s.evidence.plain = nil
	s.deliver()
	if s.hear(time.Hour, ack) {
		t.Error("a fresh start again, though what was sent since stands alone")
	}
	s.hear(0, entry(third, 240, true))
	s.evidence.settled(s.flight.acked)
	ack.Floor = 240
	s.hear(0, ack)
	s.want(240)
	s.flight.hand(flown{Range: rng(251, 260)})
	if !s.hear(0, ack) {
		t.Error("no fresh start for a batch that leans on acked ones")
	}
}

func TestSilenceForgetsWhatAHubSaidThatIsGone(t *testing.T) {
	s := newSite(t, 0, 280)
	s.hear(0, entry(third, 220, true, rng(231, 240)))
	s.evidence.silence(&s.flight, 23*time.Hour, 24*time.Hour)
	if s.flight.sent != 220 || len(s.flight.ahead) != 1 {
		t.Errorf("sent %d, ahead %v; want what the hub has shown lately left out", s.flight.sent, s.flight.ahead)
	}
	s.evidence.silence(&s.flight, 24*time.Hour, 24*time.Hour)
	if s.flight.sent != 220 || len(s.flight.ahead) != 0 {
		t.Errorf("sent %d, ahead %v; want all above acked to go again", s.flight.sent, s.flight.ahead)
	}
}

// The hub lacks the chain of batches of an older epoch; nothing of the newest was sent.
func TestFreshStartWithoutAnEpochIsForAll(t *testing.T) {
	s := newSite(t, 20, 90)
	if !s.hear(0, batch.LaneAck{Fresh: true}, entry(first, 20, true)) {
		t.Error("the site goes on with a chain that the hub can't read")
	}
	s.want(20, rng(21, 90))
}
