// Command skyhaul is the appliance at a remote site: it reads instruments over
// serial lines and Modbus, keeps every reading while the link is down, and
// forwards them when the uplink window opens. The same program commissions a
// site on a laptop.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Else a journal that restarts, or head, ends the process at its next line,
	// without the last sync.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
