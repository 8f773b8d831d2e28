//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"skyhaul/config"
	"skyhaul/edge/status"
)

// listenAgain is the pause before an address in use is tried once more.
const listenAgain = 30 * time.Second

// pages serves the status page at its addresses. One that can't be had costs
// the page there, never the daemon, and is told on the others.
type pages struct {
	daemon func() status.Snapshot
	log    *slog.Logger

	mu      sync.Mutex
	missing map[string]error // guarded by mu, by address
}

func newPages(daemon func() status.Snapshot, log *slog.Logger) *pages {
	return &pages{daemon: daemon, log: log, missing: map[string]error{}}
}

// serve serves until ctx ends, and returns when the addresses are given back: a
// socket that is left over looks like a daemon that was killed.
func (p *pages) serve(ctx context.Context, c config.Status) {
	handler := status.Handler(p.snapshot)
	var serving sync.WaitGroup
	defer serving.Wait()
	for network, addr := range map[string]string{"tcp": c.Listen, "unix": c.Socket} {
		if addr != "" {
			serving.Go(func() { p.serveAt(ctx, handler, network, addr) })
		}
	}
}

// snapshot is the daemon's with the pages that are missing.
func (p *pages) snapshot() status.Snapshot {
	s := p.daemon()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, addr := range slices.Sorted(maps.Keys(p.missing)) {
		s.Degraded = append(s.Degraded, fmt.Sprintf("The status page is missing at %s: %v.", addr, p.missing[addr]))
	}
	return s
}

func (p *pages) serveAt(ctx context.Context, h http.Handler, network, addr string) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	for {
		ln, err := listen(ctx, network, addr)
		if err == nil {
			p.found(addr)
			err = srv.Serve(ln)
		}
		if ctx.Err() != nil {
			return
		}
		p.lost(addr, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenAgain):
		}
	}
}

func (p *pages) found(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Info("status page", "address", addr)
	delete(p.missing, addr)
}

// lost tells of a page that is missing, once.
func (p *pages) lost(addr string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.missing[addr] == nil {
		p.log.Warn("status page is missing", "address", addr, "err", err)
	}
	p.missing[addr] = err
}

func listen(ctx context.Context, network, addr string) (net.Listener, error) {
	if network == "unix" {
		// A socket left by a killed process is in the way; one that answers is not left.
		if conn, err := net.Dial(network, addr); err == nil {
			conn.Close()
			return nil, errors.New("another daemon serves it")
		}
		if err := os.MkdirAll(filepath.Dir(addr), 0o755); err != nil {
			return nil, err
		}
		if left, err := os.Lstat(addr); err == nil && left.Mode().Type() == os.ModeSocket {
			os.Remove(addr)
		}
	}
	return new(net.ListenConfig).Listen(ctx, network, addr)
}
