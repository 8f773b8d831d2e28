package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/link/hub/sqlite"
)

func sendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "send SITE BODY",
		Short: "Queue a command for a site",
		Long: "Queues a command. A running skyhub publishes it within seconds; the site gets it with\n" +
			"its next session, and does not carry it out after the deadline. Prints the command's id.",
		Example: "  skyhub send north-7 'scan all' --deadline 24h --db /var/lib/skyhub/skyhub.db",
		Args:    cobra.ExactArgs(2),
	}
	db := dbFlags(cmd)
	deadline := cmd.Flags().Duration("deadline", 24*time.Hour, "how long from now it may be carried out")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *deadline <= 0 {
			return usageError{fmt.Errorf("--deadline %v: a time from now, such as 24h", *deadline)}
		}
		path, err := db()
		if err != nil {
			return err
		}
		if err := there(path); err != nil {
			return err
		}
		s, err := sqlite.Open(cmd.Context(), path)
		if err != nil {
			return err
		}
		defer s.Close()
		c, err := s.Queue(cmd.Context(), args[0], []byte(args[1]), time.Now().Add(*deadline))
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"id": c.ID, "deadline": time.UnixMilli(c.Deadline).UTC()})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "command %d, until %s\n", c.ID, time.UnixMilli(c.Deadline).UTC().Format(time.RFC3339))
		return err
	}
	return cmd
}
