package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"skyhaul/edge/point"
	"skyhaul/link/tariff"
)

// Keeper keeps small named values over a crash; *stable.Dir is one. Load wraps
// fs.ErrNotExist where there is none of that name.
type Keeper interface {
	Load(name string) ([]byte, error)
	Save(name string, value []byte) error
}

// Sums is what was used and what it costs.
type Sums struct {
	Sessions int64   `json:"sessions"`
	Up       int64   `json:"up"` // bytes on the wire, headers included
	Down     int64   `json:"down"`
	Billed   int64   `json:"billed"` // bytes under the tariff
	Money    float64 `json:"money"`  // in the tariff's currency
}

func (s *Sums) add(o Sums) {
	s.Sessions += o.Sessions
	s.Up += o.Up
	s.Down += o.Down
	s.Billed += o.Billed
	s.Money += o.Money
}

// Totals is what a ledger shows.
type Totals struct {
	Today     Sums
	Period    Sums // the tariff's billing period
	Session   Sums // the running session, or the last one
	PeriodEnd time.Time
}

// Ledger counts every byte that a link is billed for, by day and by billing
// period, both in UTC. What it keeps on disk runs ahead of what was used: a
// crash over-counts by at most what is reserved and never under-counts. Only a
// disk that can't be written breaks that, see Err.
//
// The date follows the wall clock, but not while that is unknown, and back only
// where the clock is synced. Going back ends no day and no period: what was
// counted stays counted.
//
// It is safe for concurrent use.
type Ledger struct {
	plan tariff.Plan
	keep Keeper
	name string
	now  func() point.Stamp

	mu      sync.Mutex
	kept    entries // guarded by mu, as all below
	session Sums
	live    map[*meter]struct{}
	err     error
}

// entries is the form on disk.
type entries struct {
	Day       time.Time `json:"day"`
	PeriodEnd time.Time `json:"period_end"`
	Today     Sums      `json:"today"`
	Period    Sums      `json:"period"`
}

// reserve is what is written down before it is used.
var reserve = tariff.Usage{Up: 64 << 10, Down: 64 << 10, Duration: 2 * time.Minute}

// OpenLedger takes up the ledger that is kept under name, or begins one.
func OpenLedger(keep Keeper, name string, plan tariff.Plan, now func() point.Stamp) (*Ledger, error) {
	l := &Ledger{plan: plan, keep: keep, name: name, now: now, live: make(map[*meter]struct{})}
	p, err := keep.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	if err := json.Unmarshal(p, &l.kept); err != nil {
		return nil, fmt.Errorf("load %s: %v", name, err)
	}
	return l, nil
}

// Totals returns what was counted so far.
func (l *Ledger) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll()
	return Totals{l.kept.Today, l.kept.Period, l.session, l.kept.PeriodEnd}
}

// Err returns why the ledger could not be written the last time, nil if it could.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Allows reports whether the budget lets the link be used.
func (l *Ledger) Allows(urgent bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll()
	return l.plan.Allows(l.kept.Period.Billed, urgent)
}

// touch counts the time of running sessions, for plans that bill it.
func (l *Ledger) touch() {
	if !l.billsTime() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for m := range l.live {
		l.count(m, 0, 0)
	}
}

// count takes bytes of a session in and reserves more where that runs short.
// The caller holds mu.
func (l *Ledger) count(m *meter, up, down int64) {
	l.roll()
	m.used.Up += up
	m.used.Down += down
	m.used.Duration = l.now().Boottime - m.began
	used := Sums{Up: m.used.Up, Down: m.used.Down, Sessions: 1}
	used.Billed, used.Money = l.plan.Cost(m.used)
	l.add(used.less(m.counted))
	m.counted = used
	l.session = used
	if l.short(m) {
		m.reserved = ahead(m.used)
		l.save()
	}
}

// short reports whether less than half of a reserve is left: what a read
// brings was on the wire before it can be counted.
func (l *Ledger) short(m *meter) bool {
	return m.reserved.Up-m.used.Up < reserve.Up/2 || m.reserved.Down-m.used.Down < reserve.Down/2 ||
		l.billsTime() && m.reserved.Duration-m.used.Duration < reserve.Duration/2
}

func (l *Ledger) billsTime() bool { return l.plan.PerMinute > 0 || l.plan.FloorRate > 0 }

func (l *Ledger) add(s Sums) {
	l.kept.Today.add(s)
	l.kept.Period.add(s)
}

func (s Sums) less(o Sums) Sums {
	return Sums{s.Sessions - o.Sessions, s.Up - o.Up, s.Down - o.Down, s.Billed - o.Billed, s.Money - o.Money}
}

func ahead(u tariff.Usage) tariff.Usage {
	return tariff.Usage{Up: u.Up + reserve.Up, Down: u.Down + reserve.Down, Duration: u.Duration + reserve.Duration}
}

// save writes the entries down with what is reserved for the running sessions.
// The caller holds mu.
func (l *Ledger) save() {
	e := l.kept
	for m := range l.live {
		most := Sums{Sessions: 1, Up: m.reserved.Up, Down: m.reserved.Down}
		most.Billed, most.Money = l.plan.Cost(m.reserved)
		rest := most.less(m.counted)
		e.Today.add(rest)
		e.Period.add(rest)
	}
	p, err := json.Marshal(e)
	if err == nil {
		err = l.keep.Save(l.name, p)
	}
	l.err = err
}

// roll begins a new day and a new period when their time has come. The caller
// holds mu.
func (l *Ledger) roll() {
	now := l.now()
	day := now.Time().Truncate(24 * time.Hour)
	if now.Quality == point.UnknownTime || now.Quality != point.Synced && day.Before(l.kept.Day) {
		return
	}
	if day.After(l.kept.Day) {
		l.kept.Today = Sums{}
	}
	start, end := l.plan.Period(day)
	if !start.Before(l.kept.PeriodEnd) {
		l.kept.Period = Sums{}
	}
	l.kept.Day, l.kept.PeriodEnd = day, end
}
