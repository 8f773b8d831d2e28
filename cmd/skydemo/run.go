package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"skyhaul/edge/status"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// settings are the flags.
type settings struct {
	duration time.Duration
	speed    float64
	json     bool
	listen   string
}

// usageError is a command line that can't be meant.
type usageError struct{ error }

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	cmd := &cobra.Command{
		Use:   "skydemo",
		Short: "Show the whole way of a reading, from a register on a serial line to a row at the centre",
		Long: "Replays recordings of a hydraulic rig and a compressor through Modbus RTU units on\n" +
			"two ptys, scans them each second, buffers while the window is closed, sends through\n" +
			"a link with the delay and rate of a geostationary satellite, and stores the rows in\n" +
			"SQLite. At the end every row is compared with the buffer, bit for bit.",
		Example:       "  skydemo --for 30s\n  skydemo --for 60s --json",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demonstrate(cmd.Context(), s, stdout, stderr)
		},
	}
	cmd.Flags().DurationVar(&s.duration, "for", 30*time.Second, "how long to acquire")
	cmd.Flags().Float64Var(&s.speed, "speed", 1, "divide every interval, window and bit time by `N`, 0.1 to 20")
	cmd.Flags().BoolVar(&s.json, "json", false, "end with one JSON object and show nothing else")
	cmd.Flags().StringVar(&s.listen, "listen", "127.0.0.1:8080", "`ADDR` of the web page; empty for none")
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// errDiffers says that not everything acquired was delivered.
var errDiffers = errors.New("what was delivered differs from what was acquired")

func demonstrate(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	if s.speed < 0.1 || s.speed > 20 || s.duration <= 0 {
		return usageError{fmt.Errorf("--speed %v --for %v: a speed of 0.1 to 20 and a time are needed", s.speed, s.duration)}
	}
	dir, err := os.MkdirTemp("", "skydemo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := newDemo(ctx, dir, s.speed, stderr)
	if err != nil {
		return err
	}
	defer d.close()
	if err := servePage(ctx, s.listen, d.snapshot, stderr); err != nil {
		return err
	}
	stopView := view(ctx, s, stdout, stderr, d)
	err = d.run(ctx, s.duration)
	stopView()
	if err != nil {
		return err
	}
	r, err := d.result(ctx)
	if err != nil {
		return err
	}
	if s.json {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		r.print(stdout)
	}
	if err == nil && (r.Acquired != r.Delivered || r.Lost != 0) {
		err = errDiffers
	}
	return err
}

// servePage serves the status page of the appliance. An address in use is told
// and costs the page only.
func servePage(ctx context.Context, addr string, get func() status.Snapshot, stderr io.Writer) error {
	if addr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return usageError{fmt.Errorf("--listen %q is not host:port", addr)}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		fmt.Fprintf(stderr, "no status page: %v\n", err)
		return nil
	}
	srv := &http.Server{Handler: status.Handler(get), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { srv.Close() })
	go srv.Serve(ln)
	fmt.Fprintf(stderr, "status page: http://%s/\n", ln.Addr())
	return nil
}

// view shows the appliance once a second on a terminal, else a line every ten
// seconds. The returned function ends it.
func view(ctx context.Context, s settings, stdout, stderr io.Writer, d *demo) (stop func()) {
	f, ok := stdout.(*os.File)
	live := ok && term.IsTerminal(int(f.Fd())) && !s.json
	every := 10 * time.Second
	if live {
		every = time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if live {
				fmt.Fprint(stdout, "\x1b[H\x1b[2J") // home, clear
				status.Table(stdout, d.snapshot())
			} else {
				fmt.Fprintln(stderr, d.progress())
			}
		}
	}()
	return func() { cancel(); <-done }
}
