package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/link/window"
)

func windowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "window", Short: "Say when the link may be used", Example: "  skyhaul window next --config /etc/skyhaul/skyhaul.toml"}
	cmd.AddCommand(windowNextCommand())
	return cmd
}

func windowNextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "next",
		Short:   "Forecast the next windows",
		Example: "  skyhaul window next -n 5 --config /etc/skyhaul/skyhaul.toml",
	}
	load := configFlag(cmd)
	n := cmd.Flags().IntP("number", "n", 10, "how many")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		if *n < 1 || *n > 10_000 {
			return usageError{fmt.Errorf("-n %d: 1 to 10000", *n)}
		}
		if c.Uplink == nil {
			return configError{fmt.Errorf("no [[uplink]] is configured: the site only buffers")}
		}
		spans := window.Next(c.Uplink.Window, time.Now().UTC().Truncate(time.Second), *n)
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(spanJSON(spans))
		}
		return printSpans(cmd.OutOrStdout(), c, spans)
	}
	return cmd
}

type jsonSpan struct {
	Start time.Time  `json:"start"`
	End   *time.Time `json:"end"` // null where no end is in sight
}

func spanJSON(spans []window.Span) (out []jsonSpan) {
	for _, s := range spans {
		j := jsonSpan{Start: s.Start}
		if !s.End.IsZero() {
			j.End = &s.End
		}
		out = append(out, j)
	}
	return out
}

func printSpans(w io.Writer, c *config.Config, spans []window.Span) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "opens (UTC)\tcloses (UTC)\tlasts\topens (%s)\n", c.Site.Location)
	for _, s := range spans {
		end, lasts := "open end", ""
		if !s.End.IsZero() {
			end, lasts = s.End.Format(timeLayout), s.End.Sub(s.Start).Round(time.Second).String()
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", s.Start.Format(timeLayout), end, lasts, s.Start.In(c.Site.Location).Format(timeLayout))
	}
	return tw.Flush()
}

const timeLayout = "2006-01-02 15:04:05"
