package status_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"skyhaul/edge/status"
)

// browse lets a real browser load the page, gives it some time of its own
// and returns what args ask for.
func browse(t *testing.T, h http.Handler, args ...string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	profile, err := os.MkdirTemp("", "skyhaul-browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile) // the browser's children may still write: not t.TempDir
	args = append(args, "--headless", "--enable-logging=stderr", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+profile, server.URL+"/")
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), browser, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.Bytes())
	}
	if s := stderr.String(); strings.Contains(s, "Content Security Policy") || strings.Contains(s, "Uncaught") {
		t.Errorf("chromium complains: %s", s)
	}
	return string(out)
}

func wantIn(t *testing.T, dom string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(dom, w) {
			t.Errorf("the page has no %q", w)
		}
	}
}

func TestBrowserShowsValuesQualityAndTheNextWindow(t *testing.T) {
	dom := browse(t, status.Handler(sample), "--dump-dom", "--virtual-time-budget=5000")
	wantIn(t, dom,
		"Kompressorstation 4 Nord", "2 conditions", "Unit 7 on rs485-a has not answered for 12 min.",
		"54.318", "PT-4101", "✖ bad: over range", "▲ uncertain: frozen", "never read", "3 good, 1 uncertain, 3 bad",
		"Window closed, opens in 73 min, at 14:30 UTC", "Window open for 28 min, until 13:45 UTC", "4.20 USD",
		"✖ no answer in time", "80 211", "driver: 12 framing, 1 parity", "2026-12-24 12:00", "4.3 ms", "14:30 to 14:40", "35 567 records wait, the oldest for 2 h 43 min", "no such port")
	if strings.Contains(dom, `class="isstale"`) {
		t.Error("the page takes itself for stale")
	}
}

func TestBrowserSaysWhenTheDaemonNoLongerAnswers(t *testing.T) {
	page := status.Handler(sample)
	var asked atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status.json" && asked.Add(1) > 2 {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		page.ServeHTTP(w, r)
	})
	dom := browse(t, h, "--dump-dom", "--virtual-time-budget=20000")
	wantIn(t, dom, `class="isstale"`, "No answer from skyhaul for", "What you see is from 2026-12-24 13:17 UTC.", "? not known", "54.318")
	if n := asked.Load(); n < 5 {
		t.Errorf("the page asked %d times in 20 s", n)
	}
}

func TestBrowserTakesNamesForTextAndNotForMarkup(t *testing.T) {
	s := sample()
	s.Points[0].Tag = `<img src=x onerror="document.title='taken'">`
	dom := browse(t, status.Handler(func() status.Snapshot { return s }), "--dump-dom", "--virtual-time-budget=3000")
	wantIn(t, dom, "&lt;img src=x", "<title>(2) Kompressorstation 4 Nord – skyhaul</title>")
}
