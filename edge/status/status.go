// Package status shows what the appliance does: a web page that refreshes
// itself, the same as JSON for scripts, as metrics for Prometheus and as a
// table for a terminal. All four are made from one Snapshot.
//
// The page takes nothing from elsewhere: a browser on a site without any link
// shows it. It only reads; there is nothing to send to it.
package status

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed assets/page.html
var pageHTML []byte

//go:embed assets/page.css
var pageCSS []byte

//go:embed assets/page.js
var pageJS []byte

//go:embed assets/icon.svg
var iconSVG []byte

// Handler serves the page at /, /status.json, /metrics and /healthz, to GET
// and HEAD only. get is called for every request but those of the page itself,
// also concurrently; it must not wait for devices, disk or link. extra
// collectors are served at /metrics beside those made from the snapshot.
func Handler(get func() Snapshot, extra ...prometheus.Collector) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", asset("text/html; charset=utf-8", pageHTML))
	mux.Handle("GET /page.css", asset("text/css; charset=utf-8", pageCSS))
	mux.Handle("GET /page.js", asset("text/javascript; charset=utf-8", pageJS))
	mux.Handle("GET /icon.svg", asset("image/svg+xml", iconSVG))
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) { serveJSON(w, get()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { serveHealth(w, get()) })

	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{get})
	// Package collectors, which should be used instead, links database/sql.
	registry.MustRegister(prometheus.NewGoCollector())                                       //lint:ignore SA1019 see above
	registry.MustRegister(prometheus.NewProcessCollector(prometheus.ProcessCollectorOpts{})) //lint:ignore SA1019 see above
	registry.MustRegister(extra...)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return secured(mux)
}

// secured forbids the browser everything that the page doesn't need.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // state of a plant; and an update brings its own page
		next.ServeHTTP(w, r)
	})
}

func asset(contentType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Write(body)
	})
}

func serveJSON(w http.ResponseWriter, s Snapshot) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetIndent("", " ")
	if err := e.Encode(s.whole()); err != nil {
		http.Error(w, fmt.Sprintf("snapshot is not JSON: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body.Bytes())
}

// serveHealth answers 200 as long as the daemon answers at all: a supervisor
// that restarts it because a unit is dead would only add a gap.
func serveHealth(w http.ResponseWriter, s Snapshot) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if len(s.Degraded) == 0 {
		fmt.Fprintln(w, "ok")
		return
	}
	fmt.Fprintf(w, "degraded\n%s\n", strings.Join(s.Degraded, "\n"))
}

// whole turns lists that are nil into empty ones: scripts iterate over them.
func (s Snapshot) whole() Snapshot {
	s.Degraded = append([]string{}, s.Degraded...)
	s.Uplinks = append([]Uplink{}, s.Uplinks...)
	s.Lanes = append([]Lane{}, s.Lanes...)
	s.Lines = append([]Line{}, s.Lines...)
	s.Points = append([]Point{}, s.Points...)
	for i := range s.Uplinks {
		s.Uplinks[i].Windows = append([]Window{}, s.Uplinks[i].Windows...)
	}
	return s
}
