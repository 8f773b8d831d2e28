package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
			"and compares every bit. Exit 1 on any difference. Each batch leans on the one before,\n" +
			"as they do on a link; with --alone all stand on their own. The state is what either\n" +
			"end keeps from batch to batch, in bytes a column.\n\n" +
			"The same batches also go through the encodings in use today. Beside what a\n" +
			"reading takes in each is how many times ours that is:\n\n" +
			"  json_gzip       JSON, an object a scan, gzip -6\n" +
			"  influx_zstd     Influx line protocol, a line a scan, zstd (best level)\n" +
			"  sparkplug_gzip  Sparkplug B, a metric a reading, by alias, gzip -6\n" +
			"  columns_zstd    columns of decimal integers, differences, zstd (best level)\n\n" +
			"What both ends of these can know isn't counted: names in Sparkplug, decimals in\n" +
			"columns. With zstd -19 of the reference library, which is no part of this program,\n" +
			"line protocol would be 8 to 20 % shorter, columns 2 to 6 %. Of several files there\n" +
			"are geometric means at the end, and such of those alone that have a scan a second.",
		Example: "  skyhaul codec bench --batch 1m,15m,6h site7.csv.zst",
		Args:    cobra.MinimumNArgs(1),
	}
	lengths := cmd.Flags().String("batch", "1m,15m,6h", "lengths of the batches")
	mapFile := cmd.Flags().String("map", "", "`FILE` with the type of each column (JSON); default: FILE.map.json beside FILE.csv")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a file and length")
	every := cmd.Flags().Duration("every", 0, "of all scans take one in so long, as a slower site would (0: all)")
	slots := cmd.Flags().UintSlice("slots", []uint{0}, "log2 of the counters a column that are kept from batch to batch, 6 to 16; of\nseveral each is measured")
	var o bench.Options
	cmd.Flags().BoolVar(&o.Alone, "alone", false, "every batch stands on its own (level A)")
	cmd.Flags().BoolVar(&o.Peers, "peers", true, "measure the encodings in use today as well")
	cmd.Flags().BoolVar(&o.First, "first", false, "only the first batch of each length, from the first scan on: the encoder knows\nthe schema and nothing else")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		batches, err := batchLengths(*lengths)
		if err != nil {
			return usageError{err}
		}
		for _, n := range *slots {
			if n != 0 && (n < 6 || n > 16) {
				return usageError{fmt.Errorf("--slots: %d is not from 6 to 16", n)}
			}
		}
		b := benchmark{mapFile: *mapFile, every: *every, batches: batches, slots: *slots, options: o, progress: newProgress(cmd.ErrOrStderr(), 1)}
		if *asJSON {
			print := json.NewEncoder(cmd.OutOrStdout())
			b.print = func(r bench.Result, _ time.Duration) error { return print.Encode(r) }
			return b.run(cmd.Context(), files)
		}
		t := newBenchTable(cmd.OutOrStdout(), files, o.Peers)
		b.print = t.add
		if err := b.run(cmd.Context(), files); err != nil {
			return err
		}
		return t.means()
	}
	return cmd
}

func batchLengths(list string) (all []time.Duration, err error) {
	for s := range strings.SplitSeq(list, ",") {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("--batch: %q is not a length such as 15m", s)
		}
		all = append(all, d)
	}
	return all, nil
}

// benchmark measures recordings in batches of some lengths.
type benchmark struct {
	mapFile  string
	every    time.Duration
	batches  []time.Duration
	slots    []uint
	options  bench.Options
	progress *progress
	print    func(r bench.Result, interval time.Duration) error
}

func (b *benchmark) run(ctx context.Context, files []string) error {
	defer b.progress.end()
	for _, file := range files {
		b.progress.say("%s: reading", file)
		rec, err := bench.Load(file, b.mapFile)
		if err != nil {
			return err
		}
		rec.Thin(b.every)
		for _, length := range b.batches {
			for _, slots := range b.slots {
				if err := b.measure(ctx, rec, file, length, uint8(slots)); err != nil {
					return fmt.Errorf("%s in batches of %v: %w", file, length, err)
				}
			}
		}
	}
	return nil
}

func (b *benchmark) measure(ctx context.Context, rec *bench.Recording, file string, length time.Duration, slots uint8) error {
	o := b.options
	o.Slots = slots
	o.Progress = func(done, scans int) { b.progress.say("%s in batches of %v: %3d %%", file, length, 100*done/scans) }
	r, err := rec.Measure(ctx, length, o)
	if err != nil {
		return err
	}
	b.progress.end()
	return b.print(r, rec.Interval())
}

// say shows what is being done, on a terminal and not too often.
func (p *progress) say(format string, args ...any) {
	if now := time.Now(); p.w != nil && now.Sub(p.last) >= progressEvery {
		p.last = now
		fmt.Fprintf(p.w, "\r"+format+"\x1b[K", args...) // and clears the rest of the line
	}
}
