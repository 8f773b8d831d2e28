//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/edge"
	"skyhaul/edge/clock"
	"skyhaul/edge/stable"
	"skyhaul/systemd"
)

// daemonCommands are those that only the appliance has.
func daemonCommands() []*cobra.Command { return []*cobra.Command{runCommand(), statusCommand()} }

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: "Scans, keeps and forwards until SIGTERM or SIGINT, then makes the last readings\n" +
			"durable and exits 0. What fails on the way is a state, told by skyhaul status, and\n" +
			"no end. SIGHUP is logged and ignored: a changed configuration needs a restart.\n" +
			"Exit 78: the configuration can't be used, so that trying again is of no use.",
		Example: "  skyhaul run --config /etc/skyhaul/skyhaul.toml",
	}
	load := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		return runDaemon(cmd.Context(), c, newLogger(cmd.ErrOrStderr()))
	}
	return cmd
}

// newLogger leaves the time to the journal where there is one.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 && os.Getenv("JOURNAL_STREAM") != "" {
			return slog.Attr{}
		}
		return a
	}}))
}

func runDaemon(ctx context.Context, c *config.Config, log *slog.Logger) error {
	limitMemory(c)
	state, err := stable.Open(filepath.Join(c.Buffer.Dir, "state"))
	if err != nil {
		return err
	}
	clk, err := clock.Open(state, os.Getenv("SKYHAUL_BOOT_ID"), log)
	if err != nil {
		return err
	}
	socket := systemd.Socket(os.Getenv("NOTIFY_SOCKET"))
	watchdog := systemd.NewWatchdog(socket.Notify, systemd.WatchdogInterval(os.Getenv), edge.Deadlines(c), log)
	socket.Notify(systemd.Extend(2*time.Minute), systemd.Status("opening the buffer"))
	d, err := edge.New(edge.Options{
		Config: c, Dir: c.Buffer.Dir, Clock: clk, State: state, Credentials: os.Getenv("CREDENTIALS_DIRECTORY"),
		Version: version(), Tick: watchdog.Tick, Logger: log,
	})
	if errors.As(err, new(edge.ConfigError)) {
		return configError{err}
	}
	if err != nil {
		return err
	}
	defer d.Close()

	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { watchdog.Run(ctx) })
	beside.Go(func() { ignoreHangup(ctx, log) })
	beside.Go(func() { newPages(d.Snapshot, log).serve(ctx, c.Status) })
	log.Info("running", "site", c.Site.ID, "version", version())
	socket.Notify(systemd.Ready, systemd.Status("running"))
	context.AfterFunc(ctx, func() { socket.Notify(systemd.Stopping) })
	return d.Run(ctx)
}

// limitMemory has garbage collected before it grows. What a site of 100 points
// needs is 10 MB, a point 2 kB; but a compaction of the buffer left 60 MB behind
// it that stayed for minutes. A lower GOMEMLIMIT is kept.
func limitMemory(c *config.Config) {
	limit := int64(32 << 20)
	for _, g := range c.Groups {
		limit += int64(len(g.Points)) * 4 << 10
	}
	debug.SetMemoryLimit(min(limit, debug.SetMemoryLimit(-1)))
}

// ignoreHangup keeps a terminal that is closed, or a hand that hopes to have the
// configuration read anew, from ending the acquisition.
func ignoreHangup(ctx context.Context, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			log.Warn("hangup ignored: a changed configuration needs a restart")
		}
	}
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Ask the running daemon how it is",
		Example: "  skyhaul status --watch",
	}
	flags := cmd.Flags()
	socket := flags.String("socket", "", "`PATH` of the daemon's socket (default: the configuration's)")
	path := flags.String("config", "", "configuration `FILE` that names the socket")
	watch := flags.Bool("watch", false, "show it again every 2 seconds until interrupted")
	asJSON := flags.Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		addr := *socket
		if addr == "" && *path != "" {
			c, err := config.Load(*path)
			if err != nil {
				return configError{err}
			}
			addr = c.Status.Socket
		}
		return showStatus(cmd, cmp.Or(addr, "/run/skyhaul/status.sock"), *watch, *asJSON)
	}
	return cmd
}
