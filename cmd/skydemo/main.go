// Command skydemo runs the whole system in one process on recorded data: Modbus
// units on ptys with the pace of real lines, the appliance, a link that is far,
// slow and mostly closed, a broker, and the hub with its database.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
