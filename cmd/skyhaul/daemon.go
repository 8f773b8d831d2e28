//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/edge"
	"skyhaul/edge/clock"
	"skyhaul/edge/stable"
	"skyhaul/edge/status"
	"skyhaul/systemd"
)

// daemonCommands are those that only the appliance has.
func daemonCommands() []*cobra.Command { return []*cobra.Command{runCommand(), statusCommand()} }

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run",
		Short:   "Run the daemon",
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
	defer cancel()
	go watchdog.Run(ctx)
	handler := status.Handler(d.Snapshot)
	if c.Status.Listen != "" {
		go serveStatus(ctx, log, handler, "tcp", c.Status.Listen)
	}
	if c.Status.Socket != "" {
		go serveStatus(ctx, log, handler, "unix", c.Status.Socket)
	}
	log.Info("running", "site", c.Site.ID, "version", version())
	socket.Notify(systemd.Ready, systemd.Status("running"))
	context.AfterFunc(ctx, func() { socket.Notify(systemd.Stopping) })
	return d.Run(ctx)
}

// listenAgain is the pause before an address in use is tried once more.
const listenAgain = 30 * time.Second

// serveStatus serves the page until ctx ends. An address that can't be had
// costs the page, never the daemon.
func serveStatus(ctx context.Context, log *slog.Logger, h http.Handler, network, addr string) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	context.AfterFunc(ctx, func() { srv.Close() })
	told := false
	for ctx.Err() == nil {
		ln, err := listen(ctx, network, addr)
		if err == nil {
			log.Info("status page", "address", addr)
			err = srv.Serve(ln)
			if errors.Is(err, http.ErrServerClosed) {
				return
			}
		}
		if !told {
			log.Warn("status page is missing", "address", addr, "err", err)
			told = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
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
		os.Remove(addr)
	}
	return new(net.ListenConfig).Listen(ctx, network, addr)
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
