package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/link/hub/sqlite"
)

func sitesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sites",
		Short: "List the sites with what is here of them",
		Long: "Lists the sites. MISSING are records that were heard of and are not here yet; LOST\n" +
			"those that the site declared lost; REPEATED those that came again and were dropped;\n" +
			"FORKS places where a card was cloned or an old image restored; UNCHAINED batches that\n" +
			"leaned on others that are not here, so that the site was asked for a fresh start.",
		Example: "  skyhub sites --db /var/lib/skyhub/skyhub.db",
	}
	db := dbFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := db()
		if err != nil {
			return err
		}
		v, err := openView(cmd.Context(), path)
		if err != nil {
			return err
		}
		defer v.Close()
		rows, err := fleet(cmd.Context(), v)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(rows)
		}
		return printFleet(cmd.OutOrStdout(), rows)
	}
	return cmd
}

// fleetRow is one line of the fleet view. Times are null where there is none.
type fleetRow struct {
	Site      string     `json:"site"`
	Online    bool       `json:"online"`
	LastBatch *time.Time `json:"last_batch"`
	Next      *time.Time `json:"next_contact"`
	Batches   int64      `json:"batches"`
	Records   int64      `json:"records"`
	Readings  int64      `json:"readings"`
	Repeated  int64      `json:"repeated"`
	Missing   uint64     `json:"missing"`
	Lost      uint64     `json:"lost"`
	Forks     int        `json:"forks"`
	Unchained int64      `json:"unchained"`
	Links     int64      `json:"chain_links"` // kept, for the batches to come
	LinkBytes int64      `json:"chain_bytes"`
	Config    string     `json:"config"`
}

func fleet(ctx context.Context, v *sqlite.View) ([]fleetRow, error) {
	sites, err := v.Sites(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]fleetRow, 0, len(sites))
	for _, s := range sites {
		m, err := v.Marks(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		gaps, err := v.Gaps(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		chains, err := v.Chains(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		r := fleetRow{
			Site: s.ID, Online: s.Online, LastBatch: orNull(s.LastBatch), Next: orNull(s.Next),
			Batches: s.Batches, Records: s.Records, Readings: s.Readings, Repeated: s.Repeated,
			Forks: len(m.Forks()), Unchained: s.Unchained, Links: chains.Links, LinkBytes: chains.Bytes, Config: s.Config,
		}
		for _, g := range gaps {
			r.Lost += records(g.Range)
		}
		for _, g := range m.Missing() {
			r.Missing += records(g.Range)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func printFleet(w io.Writer, rows []fleetRow) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SITE\tONLINE\tLAST BATCH\tNEXT CONTACT\tBATCHES\tREADINGS\tREPEATED\tMISSING\tLOST\tFORKS\tUNCHAINED\tCONFIG")
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", r.Site, yesNo(r.Online), when(r.LastBatch), when(r.Next),
			r.Batches, r.Readings, r.Repeated, r.Missing, r.Lost, r.Forks, r.Unchained, dash(r.Config))
	}
	return tw.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// when shows a time to the second.
func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
