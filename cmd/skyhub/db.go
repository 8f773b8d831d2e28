package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
)

// dbFlags adds the flags that name the database and returns what reads them.
func dbFlags(cmd *cobra.Command) func() (string, error) {
	db := cmd.Flags().String("db", "", "database `FILE` of the sink")
	path := cmd.Flags().String("config", "", "configuration `FILE` that names it")
	return func() (string, error) {
		switch {
		case (*db == "") == (*path == ""):
			return "", usageError{fmt.Errorf("either --db FILE or --config FILE is needed: see %s --help", cmd.CommandPath())}
		case *db != "":
			return *db, nil
		}
		c, err := loadConfig(*path)
		if err != nil {
			return "", err
		}
		return c.db, nil
	}
}

// openView opens a database that has to be there.
func openView(ctx context.Context, path string) (*sqlite.View, error) {
	if err := there(path); err != nil {
		return nil, err
	}
	return sqlite.OpenView(ctx, path)
}

func there(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("database %s: there is none; skyhub run makes it", path)
	}
	return nil
}

// chosen returns the sites a command speaks of: one, or all where none is named.
func chosen(ctx context.Context, v *sqlite.View, site string) ([]hub.Site, error) {
	sites, err := v.Sites(ctx)
	if err != nil || site == "" {
		return sites, err
	}
	i := slices.IndexFunc(sites, func(s hub.Site) bool { return s.ID == site })
	if i < 0 {
		return nil, fmt.Errorf("site %q: nothing was heard of it; known are: %s", site, names(sites))
	}
	return sites[i : i+1], nil
}

func names(sites []hub.Site) string {
	if len(sites) == 0 {
		return "none"
	}
	var ids []string
	for _, s := range sites {
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, ", ")
}
