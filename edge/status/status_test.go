package status_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"skyhaul/edge/status"
)

func ask(t *testing.T, h http.Handler, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestJSONGivesTheSnapshotBack(t *testing.T) {
	r := ask(t, status.Handler(sample), "GET", "/status.json")
	var got status.Snapshot
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := sample()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Scripts read these names: one that changes breaks them.
func TestJSONNamesStay(t *testing.T) {
	got := body(t, ask(t, status.Handler(sample), "GET", "/status.json"))
	for _, want := range []string{
		`"site": "ks-4"`, `"time": "2026-12-24T13:17:05Z"`, `"time_quality": "holdover"`, `"time_bound_seconds": 0.128`,
		`"config_hash"`, `"degraded"`, `"uplinks"`, `"window_open": true`, `"window_until": "2026-12-24T13:45:00Z"`,
		`"next_window": "2026-12-24T14:30:00Z"`, `"last_ack_age_seconds": 3`, `"bytes_today": 840`, `"cost_today": 4.2`, `"currency": "USD"`,
		`"quota_bytes"`, `"days_left": 41.5`, `"quarantine"`, `"oldest_pending_age_seconds": null`, `"pending": 35567`,
		`"busy_percent": 63.4`, `"units_down": 1`, `"tag": "PT-4101"`, `"value": "54.318"`, `"quality": "bad"`, `"reason": "comm"`, `"age_seconds": 734`, `"unit_id": 7`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestEmptyListsAreListsInJSON(t *testing.T) {
	got := body(t, ask(t, status.Handler(func() status.Snapshot { return status.Snapshot{Uplinks: []status.Uplink{{}}} }), "GET", "/status.json"))
	for _, name := range []string{"degraded", "windows", "lanes", "lines", "points"} {
		if !strings.Contains(got, `"`+name+`": []`) {
			t.Errorf("%s is no list: %s", name, got)
		}
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	h := status.Handler(sample)
	for _, path := range []string{"/", "/status.json", "/metrics", "/healthz", "/page.js"} {
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405} {
			if r := ask(t, h, method, path); r.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", method, path, r.StatusCode, want)
			}
		}
	}
	for _, path := range []string{"/assets/", "/page", "/..", "/index.html", "/debug/pprof/"} {
		if r := ask(t, h, "GET", path); r.StatusCode == 200 {
			t.Errorf("GET %s is served", path)
		}
	}
}

func TestEveryAnswerForbidsForeignContent(t *testing.T) {
	h := status.Handler(sample)
	for _, path := range []string{"/", "/status.json", "/metrics", "/nothing"} {
		header := ask(t, h, "GET", path).Header
		csp := header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: content type may be guessed", path)
		}
	}
	page := body(t, ask(t, h, "GET", "/"))
	for _, foreign := range []string{"http:", "https:", "//", "<style", "onclick", "style="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
}

func TestHealthSaysWhatIsWrongAndStays200(t *testing.T) {
	for want, degraded := range map[string][]string{
		"ok\n":                        nil,
		"degraded\nUnit 7 is dead.\n": {"Unit 7 is dead."},
	} {
		r := ask(t, status.Handler(func() status.Snapshot { return status.Snapshot{Degraded: degraded} }), "GET", "/healthz")
		if got := body(t, r); r.StatusCode != 200 || got != want {
			t.Errorf("%d %q, want 200 %q", r.StatusCode, got, want)
		}
	}
}

func TestMetricsCarryTheSnapshot(t *testing.T) {
	own := prometheus.NewGauge(prometheus.GaugeOpts{Name: "skyhaul_own", Help: "Someone else's."})
	r := ask(t, status.Handler(sample, own), "GET", "/metrics")
	got := body(t, r)
	if r.StatusCode != 200 {
		t.Fatalf("%d: %s", r.StatusCode, got)
	}
	for _, want := range []string{
		`skyhaul_info{config_hash="9f31c2aa",site="ks-4",version="v0.1.0"} 1`,
		`skyhaul_clock_quality{quality="holdover"} 1`,
		`skyhaul_clock_error_bound_seconds 0.128`,
		`skyhaul_degraded_conditions 2`,
		`skyhaul_points{group="fast",quality="bad"} 2`,
		`skyhaul_points{group="fast",quality="uncertain"} 0`,
		`skyhaul_line_up{line="rs485-b"} 0`,
		`skyhaul_line_units{line="rs485-a",state="down"} 1`,
		`skyhaul_line_errors_total{line="rs485-a"} 412`,
		`skyhaul_lane_pending_records{lane="history"} 35567`,
		`skyhaul_lane_oldest_pending_seconds{lane="history"} 9801`,
		`skyhaul_buffer_left_days 41.5`,
		`skyhaul_uplink_window_open{uplink="lte"} 1`,
		`skyhaul_uplink_today_bytes{uplink="lte"} 840`,
		`skyhaul_uplink_today_cost{currency="USD",uplink="vsat"} 4.2`,
		"skyhaul_own 0", "go_goroutines ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, absent := range []string{`skyhaul_lane_oldest_pending_seconds{lane="alarm"}`, `skyhaul_uplink_today_cost{currency=""`} {
		if strings.Contains(got, absent) {
			t.Errorf("%s is not known, but there", absent)
		}
	}
}
