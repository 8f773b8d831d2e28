package link

import "time"

// minBatch is the least room for which a batch is begun: below it headers
// outweigh what they carry.
const minBatch = 1 << 10

// shortest is the limit below which failures don't bring a batch.
const shortest = 4 << 10

// pace is what the uplink has learnt of the link: how large a batch may be and
// how long it takes to its PUBACK. It outlives sessions.
type pace struct {
	ceiling int           // bytes that a session takes, as far as it is known
	most    int           // bytes of a batch, by configuration; at most ceiling
	limit   int           // bytes of a batch now: halved where nothing got through, up to most
	rate    float64       // bytes a second; 0 as long as nothing is known
	trip    time.Duration // the shortest time to a PUBACK in this session, or the last one
	last    time.Duration // boottime of the last PUBACK
}

func newPace(most int) pace { return pace{ceiling: max(most, 1<<20), most: most, limit: most} }

// begin starts a session.
func (p *pace) begin() { p.last = 0 }

// puback learns from a batch that was on its way from since to now.
func (p *pace) puback(b flown, since, now time.Duration) {
	took := now - since
	if p.last == 0 || took < p.trip {
		p.trip = took
	}
	if busy := now - max(since, p.last); busy > 0 && b.bytes >= minBatch {
		p.learn(float64(b.bytes) / busy.Seconds())
	}
	p.last = now
	p.limit = min(2*p.limit, p.most)
}

func (p *pace) learn(rate float64) {
	if p.rate == 0 {
		p.rate = rate
		return
	}
	p.rate += (rate - p.rate) / 4
}

// room returns how many bytes a batch may have that is to be PUBACKed within
// left, after aloft bytes that are on their way. A fifth is kept for what is
// not known.
func (p *pace) room(left time.Duration, aloft int) int {
	if p.rate == 0 {
		return p.limit
	}
	fit := 0.8*p.rate*(left-p.trip).Seconds() - float64(aloft)
	return int(min(float64(p.limit), fit))
}

// refused learns that a session takes at most size bytes.
func (p *pace) refused(size int) {
	p.ceiling = max(size, 1)
	p.most = min(p.most, p.ceiling)
	p.limit = min(p.limit, p.most)
}

// stalled learns from a session that ended before its first PUBACK: a batch
// that never gets through a short window must become shorter.
func (p *pace) stalled() {
	p.limit = min(p.most, max(p.limit/2, shortest))
}
