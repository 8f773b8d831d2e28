package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/link/batch/bench"
)

func codecCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "codec", Short: "Measure what readings cost on the link", Example: "  skyhaul codec bench site7.csv.zst"}
	cmd.AddCommand(codecBenchCommand())
	return cmd
}

func codecBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench FILE.csv[.zst]...",
		Short: "Batch, encode and decode recordings, and compare bit for bit",
		Long: "Plays each recording through the encoder in batches of each length, decodes them,\n" +
			"and compares every bit. Exit 1 on any difference.",
		Example: "  skyhaul codec bench --batch 1m,15m,6h site7.csv.zst",
		Args:    cobra.MinimumNArgs(1),
	}
	lengths := cmd.Flags().String("batch", "1m,15m,6h", "lengths of the batches")
	mapFile := cmd.Flags().String("map", "", "`FILE` with the type of each column (JSON)")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a file and length")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		var batches []time.Duration
		for s := range strings.SplitSeq(*lengths, ",") {
			d, err := time.ParseDuration(s)
			if err != nil || d <= 0 {
				return usageError{fmt.Errorf("--batch: %q is not a length such as 15m", s)}
			}
			batches = append(batches, d)
		}
		out := cmd.OutOrStdout()
		print := json.NewEncoder(out).Encode
		if !*asJSON {
			tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
			defer tw.Flush()
			fmt.Fprint(tw, "file\tbatch\treadings\tbytes\tbytes/reading\tencode ns\tdecode ns\t\n")
			print = func(v any) error {
				r := v.(bench.Result)
				_, err := fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%.3f\t%.0f\t%.0f\t\n", r.File, r.Batch, r.Readings, r.Bytes, r.BytesPerReading, r.EncodeNs, r.DecodeNs)
				return err
			}
		}
		for _, file := range files {
			if err := benchFile(file, *mapFile, batches, print); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func benchFile(file, mapFile string, batches []time.Duration, print func(any) error) error {
	rec, err := bench.Load(file, mapFile)
	if err != nil {
		return err
	}
	for _, length := range batches {
		r, err := rec.Measure(length)
		if err != nil {
			return fmt.Errorf("%s in batches of %v: %w", file, length, err)
		}
		if err := print(r); err != nil {
			return err
		}
	}
	return nil
}
