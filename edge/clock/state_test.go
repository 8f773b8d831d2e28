package clock

import (
	"math/rand/v2"
	"testing"
	"time"

	"skyhaul/edge/point"
)

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

const year = 365 * 24 * time.Hour

func TestStampsFollowTheWallClockAndSayHowFarToTrustIt(t *testing.T) {
	type look struct {
		after    time.Duration // since the look before
		jump     time.Duration // of the wall clock against boottime
		synced   bool
		maxError time.Duration

		quality point.TimeQuality
		bound   time.Duration // the smallest it may be; 0: unknown
		step    time.Duration
	}
	tests := []struct {
		name  string
		looks []look
	}{
		{"never synced", []look{
			{quality: point.RTCOnly},
			{after: time.Hour, quality: point.RTCOnly},
		}},
		{"dead battery, then the first fix", []look{
			{jump: -57 * year, quality: point.UnknownTime},
			{after: time.Minute, quality: point.UnknownTime},
			{after: time.Second, jump: 57 * year, quality: point.RTCOnly, step: 57 * year},
			{after: time.Second, synced: true, maxError: 20 * time.Millisecond, quality: point.Synced, bound: 27 * time.Millisecond},
		}},
		{"synced, then the source is lost for a day", []look{
			{synced: true, maxError: 10 * time.Millisecond, quality: point.Synced, bound: 17 * time.Millisecond},
			{after: 24 * time.Hour, quality: point.Holdover, bound: 10*time.Millisecond + 4320*time.Millisecond},
		}},
		{"the kernel's maxerror grows to its end: the tightest look counts", []look{
			{synced: true, maxError: 10 * time.Millisecond, quality: point.Synced, bound: 17 * time.Millisecond},
			{after: 8 * time.Hour, synced: true, maxError: 15 * time.Second, quality: point.Synced, bound: 15 * time.Second},
			{after: time.Hour, quality: point.Holdover, bound: 10*time.Millisecond + 1620*time.Millisecond},
		}},
		{"ten years forward and back while synced", []look{
			{synced: true, maxError: time.Millisecond, quality: point.Synced, bound: 8 * time.Millisecond},
			{after: time.Second, jump: 10 * year, synced: true, maxError: time.Millisecond, quality: point.Synced, bound: 8 * time.Millisecond, step: 10 * year},
			{after: time.Second, jump: -10 * year, synced: true, maxError: time.Millisecond, quality: point.Synced, bound: 8 * time.Millisecond, step: -10 * year},
		}},
		{"ten years back, whatever the kernel says", []look{
			{synced: true, quality: point.Synced, bound: 7 * time.Millisecond},
			{after: time.Second, jump: -10 * year, synced: true, quality: point.UnknownTime, step: -10 * year},
			{after: time.Second, jump: 10 * year, quality: point.RTCOnly, step: 10 * year},
		}},
		{"more than twenty years beyond the floor", []look{
			{synced: true, quality: point.Synced, bound: 7 * time.Millisecond},
			{after: time.Second, jump: 21 * year, synced: true, quality: point.UnknownTime, step: 21 * year},
		}},
		{"set by hand in holdover", []look{
			{synced: true, maxError: time.Millisecond, quality: point.Synced, bound: 8 * time.Millisecond},
			{after: time.Hour, jump: 100 * time.Millisecond, quality: point.Holdover, bound: 281 * time.Millisecond},
			{after: time.Hour, jump: time.Minute, quality: point.RTCOnly, step: time.Minute},
			{after: time.Second, jump: -time.Minute, quality: point.RTCOnly, step: -time.Minute},
		}},
		{"stepped by the discipline, then the source is lost", []look{
			{synced: true, maxError: time.Millisecond, quality: point.Synced, bound: 8 * time.Millisecond},
			{after: time.Second, jump: 10 * time.Second, synced: true, maxError: 100 * time.Millisecond, quality: point.Synced, bound: 107 * time.Millisecond, step: 10 * time.Second},
			{after: time.Second, quality: point.Holdover, bound: 108 * time.Millisecond},
		}},
		{"a second is no step, more is", []look{
			{quality: point.RTCOnly},
			{after: time.Minute, jump: time.Second, quality: point.RTCOnly},
			{after: time.Minute, jump: -time.Second - time.Millisecond, quality: point.RTCOnly, step: -time.Second - time.Millisecond},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := state{floor: noon.AddDate(0, -1, 0)}
			var boottime, jumped time.Duration
			for i, l := range test.looks {
				boottime += l.after
				jumped += l.jump
				stamp, step := s.observe(reading{
					boottime: boottime, wall: noon.Add(boottime + jumped),
					synced: l.synced, maxError: l.maxError,
				})
				if stamp.Quality != l.quality || step != l.step {
					t.Errorf("look %d: %v, step %v; want %v, step %v", i, stamp.Quality, step, l.quality, l.step)
				}
				want := uint8(point.UnknownBound)
				if l.bound > 0 {
					want = point.BoundExp(l.bound)
				}
				if stamp.BoundExp != want {
					t.Errorf("look %d: bound 2^%d ms, want 2^%d", i, stamp.BoundExp, want)
				}
				if stamp.Boottime != boottime || !stamp.Time().Equal(noon.Add(boottime+jumped)) {
					t.Errorf("look %d: stamp %v %v", i, stamp.Boottime, stamp.Time())
				}
			}
		})
	}
}

func TestWallKeepsItsDistanceToBoottimeUnderJitter(t *testing.T) {
	s := state{floor: noon.AddDate(0, -1, 0)}
	rng := rand.New(rand.NewPCG(1, 2))
	first, _ := s.observe(reading{wall: noon})
	boottime := time.Duration(0)
	for range 10_000 {
		boottime += time.Duration(rng.Int64N(int64(2 * time.Second)))
		jitter := time.Duration(rng.Int64N(int64(8*time.Millisecond))) - 4*time.Millisecond
		stamp, _ := s.observe(reading{boottime: boottime, wall: noon.Add(boottime + jitter)})
		if got := stamp.Wall - stamp.Boottime.Milliseconds(); got != first.Wall {
			t.Fatalf("distance %d ms at %v, was %d ms", got, boottime, first.Wall)
		}
		if stamp.Boottime%time.Millisecond != 0 {
			t.Fatalf("boottime %v is not whole milliseconds", stamp.Boottime)
		}
	}
}

// A simulated clock drifts, is set right now and then and jumps by years; what
// is said of it is compared with the truth.
func TestBoundHoldsAgainstTheTrueTime(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := state{floor: noon.AddDate(0, -1, 0)}
		ppm := rng.Float64()*2*drift - drift
		var boottime, wrong, maxError time.Duration
		synced := false
		for i := range 2_000 {
			d := time.Duration(rng.Int64N(int64(time.Minute)))
			boottime += d
			wrong += time.Duration(ppm * float64(d) / 1e6)
			maxError += d * 500 / 1_000_000
			switch rng.IntN(100) {
			case 0: // set right to within 20 ms
				synced, maxError = true, 20*time.Millisecond
				wrong = time.Duration(rng.Int64N(int64(40*time.Millisecond))) - 20*time.Millisecond
			case 1, 2, 3:
				synced = false
			case 4: // set wrong: the discipline has ended
				synced = false
				wrong += time.Duration(rng.Int64N(int64(20*year))) - 10*year
			}
			truth := noon.Add(boottime)
			stamp, _ := s.observe(reading{boottime: boottime, wall: truth.Add(wrong), synced: synced, maxError: maxError})
			bound, ok := stamp.Bound()
			if off := stamp.Time().Sub(truth).Abs(); ok && off > bound {
				t.Fatalf("seed %d look %d: %v off by %v, bound %v", seed, i, stamp.Quality, off, bound)
			}
			if (stamp.Quality == point.Synced || stamp.Quality == point.Holdover) != ok {
				t.Fatalf("seed %d look %d: %v with bound known %v", seed, i, stamp.Quality, ok)
			}
		}
	}
}
