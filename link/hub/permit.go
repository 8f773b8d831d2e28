package hub

import (
	"context"
	"maps"
	"time"

	"skyhaul/edge/point"
)

// A site whose chain was missing is not permitted chains for a while, which
// doubles each time: where batches get lost on their way, each loss costs all
// that leans on it. What was long ago is forgotten.
const (
	firstDoubt   = 10 * time.Minute
	longestDoubt = 6 * time.Hour
	pardon       = 48 * time.Hour
)

// doubt is why a site is not permitted chains.
type doubt struct {
	lane    point.Lane // whose chain was missing
	until   time.Time
	wait    time.Duration
	batches int // that could not be read
}

// doubts notes that a chain was missing, and reports whether that is news.
func (r *Receiver) doubts(p parcel, cause error) (news bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Unchained++
	d := r.doubted[p.site]
	if d == nil {
		maps.DeleteFunc(r.doubted, func(_ string, d *doubt) bool { return now.Sub(d.until) > pardon })
		d = new(doubt)
		r.doubted[p.site] = d
	}
	d.batches++
	if now.Before(d.until) {
		return false
	}
	if now.Sub(d.until) > pardon {
		d.wait = 0
	}
	d.wait = min(max(2*d.wait, firstDoubt), longestDoubt)
	d.lane, d.until = p.lane, now.Add(d.wait)
	r.opt.Logger.Warn("chain is missing: the site is asked for a fresh start", "site", p.site, "lane", p.lane, "err", cause, "plain", d.wait)
	return true
}

// trust notes that a batch on a chain was stored.
func (r *Receiver) trust(site string, lane point.Lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.doubted[site]; d != nil && d.batches > 0 && d.lane == lane {
		r.opt.Logger.Info("chain is back", "site", site, "lane", lane, "batches", d.batches)
		d.batches = 0
	}
}

// permits reports whether a site may send batches that lean on each other. Where
// hubs share the work, one gets a batch while the other still has the one before.
func (r *Receiver) permits(site string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.doubted[site]
	return r.alone && (d == nil || !time.Now().Before(d.until))
}

// presence is how often the sink is told that this hub is at work.
const presence = time.Minute

// present tells the sink, and finds out whether other hubs are.
func (r *Receiver) present(ctx context.Context) error {
	if r.chains == nil || time.Since(r.seen) < presence {
		return nil
	}
	alone, err := r.chains.Alone(ctx, r.opt.Name)
	if err != nil {
		return sinkError{err}
	}
	r.seen = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shared == alone {
		text := "other hubs share the work: no chains are permitted"
		if alone {
			text = "no other hub shares the work: chains are permitted"
		}
		r.opt.Logger.Info(text)
	}
	r.alone, r.shared = alone, !alone
	return nil
}
