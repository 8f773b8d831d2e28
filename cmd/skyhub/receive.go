package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
	"skyhaul/link/mqtt"
	"skyhaul/systemd"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Take batches off the broker, store them and acknowledge",
		Long: "Takes batches off the broker, stores them and acknowledges, until it is stopped.\n" +
			"Several hubs may share the work. The configuration:\n\n  " +
			strings.ReplaceAll(strings.TrimSpace(reference), "\n", "\n  "),
		Example: "  skyhub run --config /etc/skyhub/skyhub.toml",
	}
	path := cmd.Flags().String("config", "", "configuration `FILE` (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *path == "" {
			return usageError{fmt.Errorf("--config FILE is missing: see %s --help", cmd.CommandPath())}
		}
		c, err := loadConfig(*path)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), c, cmd.ErrOrStderr())
	}
	return cmd
}

// silence is how long a healthy receiver may show no sign of life: a name look-up
// and a dial take up to a minute, and so does the pause after a failed session.
const silence = 3 * time.Minute

// serve is the daemon.
func serve(ctx context.Context, c *config, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	dial := mqtt.DialTCP(c.address)
	if c.tls != nil {
		var err error
		if dial, err = mqtt.DialTLS(dial, c.address, *c.tls); err != nil {
			return configError{err}
		}
	}
	sink, err := sqlite.Open(context.WithoutCancel(ctx), c.db) // to be stopped while it opens is no failure
	if err != nil {
		return err
	}
	defer sink.Close()

	notify := systemd.Socket(os.Getenv("NOTIFY_SOCKET")).Notify
	watchdog := systemd.NewWatchdog(notify, systemd.WatchdogInterval(os.Getenv), map[string]time.Duration{"receiver": silence}, log)
	limits := new(mqtt.Limits)
	receiver := hub.New(hub.Options{
		Sink:        sink,
		Fleet:       sink,
		Prefix:      c.prefix,
		Group:       c.group,
		Name:        c.session.ClientID,
		Master:      c.master,
		Logger:      log,
		Tick:        func() { watchdog.Tick("receiver") },
		ChainMemory: c.memory,
		Connect: func(filters []string) hub.Session {
			o := c.session
			o.Dial, o.Subscribe, o.Limits, o.Logger = dial, filters, limits, log
			return mqtt.New(o)
		},
	})
	log.Info("skyhub runs", "broker", c.address, "database", c.db)
	notify(systemd.Ready)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return watchdog.Run(ctx) })
	g.Go(func() error { return receiver.Run(ctx) })
	err = g.Wait()
	notify(systemd.Stopping)
	log.Info("skyhub stopped", "batches", receiver.Status().Batches)
	return err
}
