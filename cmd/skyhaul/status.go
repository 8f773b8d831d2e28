//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/edge/status"
)

// maxStatus bounds what a daemon may answer, in bytes.
const maxStatus = 64 << 20

// showStatus prints what the daemon says, once or until ctx ends.
func showStatus(cmd *cobra.Command, socket string, watch, asJSON bool) error {
	for {
		body, err := askStatus(cmd.Context(), socket)
		if err != nil {
			return err
		}
		if err := printStatus(cmd.OutOrStdout(), body, watch, asJSON); err != nil || !watch {
			return err
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

func askStatus(ctx context.Context, socket string) ([]byte, error) {
	client := http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://skyhaul/status.json", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return nil, fmt.Errorf("no daemon answers at %s: %v: is skyhaul running, and may you open its socket?", socket, op.Err)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxStatus))
}

func printStatus(w io.Writer, body []byte, watch, asJSON bool) error {
	if asJSON {
		_, err := w.Write(body)
		return err
	}
	var s status.Snapshot
	if err := json.Unmarshal(body, &s); err != nil {
		return fmt.Errorf("status of the daemon: %w", err)
	}
	if watch {
		fmt.Fprint(w, "\x1b[H\x1b[2J") // home, clear
	}
	status.Table(w, s)
	return nil
}
