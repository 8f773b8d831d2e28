package hub_test

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// library is a memory that keeps what chains are made of.
type library struct {
	*memory
	links []link
	hubs  map[string]bool
	torn  error // of Paths
	asked int   // Paths
}

type link struct {
	site string
	lane point.Lane
	hub.Link
}

func newLibrary() *library { return &library{memory: newMemory(), hubs: make(map[string]bool)} }

func (l *library) StoreLink(ctx context.Context, site string, b *batch.Batch, n hub.Link) (hub.Marks, error) {
	m, err := l.Store(ctx, site, b)
	if err == nil && l.find(site, b.Lane, n.Payload) < 0 {
		n.Payload, n.Snapshot = slices.Clone(n.Payload), slices.Clone(n.Snapshot)
		l.links = append(l.links, link{site, b.Lane, n})
	}
	return m, err
}

func (l *library) find(site string, lane point.Lane, payload []byte) int {
	return slices.IndexFunc(l.links, func(n link) bool {
		return n.site == site && n.lane == lane && bytes.Equal(n.Payload, payload)
	})
}

func (l *library) Repeated(_ context.Context, site string, lane point.Lane, payload []byte) (hub.Marks, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.find(site, lane, payload) < 0 {
		return hub.Marks{}, false, nil
	}
	l.repeated++
	return l.touch(site, l.marks[site]), true, nil
}

func (l *library) Paths(_ context.Context, site string, lane point.Lane, tag uint16) (paths []hub.Path, err error) {
	l.asked++
	for i, n := range slices.Backward(l.links) {
		if n.site == site && n.lane == lane && uint16(batch.Name(n.Payload)) == tag {
			paths = append(paths, l.path(i))
		}
	}
	return paths, l.torn
}

func (l *library) path(i int) (p hub.Path) {
	for {
		n := l.links[i]
		if n.Snapshot != nil {
			p.Snapshot = n.Snapshot
			return p
		}
		p.Payloads = slices.Insert(p.Payloads, 0, n.Payload)
		if n.Base == 0 {
			return p
		}
		i = slices.IndexFunc(l.links, func(b link) bool {
			return b.site == n.site && b.lane == n.lane && batch.Name(b.Payload) == n.Base
		})
	}
}

func (l *library) Alone(_ context.Context, name string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hubs[name] = true
	return len(l.hubs) == 1, nil
}

var errTorn = errors.New("page torn")
