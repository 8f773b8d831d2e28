package tariff_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"skyhaul/link/tariff"
)

// Plans as operators publish them. Prices are examples.
var (
	certus100 = tariff.Plan{Currency: "USD", PerMB: 5, SessionMin: 5_000, FloorAfter: 300 * time.Second, FloorRate: 300}
	bgan      = tariff.Plan{Currency: "USD", PerMB: 4, SessionMin: 50_000, Increment: 10_000, EachWay: true}
	isatData  = tariff.Plan{Currency: "USD", PerMB: 1000, MessageMin: 15, MessageIncrement: 10}
	rockBlock = tariff.Plan{Currency: "USD", PerMB: 0.16 / 50 * 1e6, MessageMin: 50, MessageIncrement: 50, EmptySession: 50}
	emnify    = tariff.Plan{Currency: "EUR", PerMB: 0.1, Increment: 1_000}
	dialUp    = tariff.Plan{Currency: "USD", PerMinute: 1.44, SessionMinTime: 20 * time.Second, TimeIncrement: 20 * time.Second}
)

func TestCost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		plan   tariff.Plan
		usage  tariff.Usage
		billed int64
		money  float64
	}{
		{"free", tariff.Plan{}, tariff.Usage{Up: 10, Down: 5, Duration: time.Hour}, 15, 0},
		{"certus 100, least", certus100, tariff.Usage{Up: 900, Down: 100, Duration: 10 * time.Second}, 5_000, 0.025},
		{"certus 100, payload", certus100, tariff.Usage{Up: 9_000, Down: 1_001, Duration: 300 * time.Second}, 10_001, 0.050005},
		{"certus 100, a second too long", certus100, tariff.Usage{Up: 9_000, Down: 1_001, Duration: 301 * time.Second}, 90_300, 0.4515},
		{"certus 100, more than the floor", certus100, tariff.Usage{Up: 1e6, Duration: 301 * time.Second}, 1e6, 5},
		{"bgan, least each way", bgan, tariff.Usage{Up: 1, Down: 1}, 100_000, 0.4},
		{"bgan, steps each way", bgan, tariff.Usage{Up: 50_001, Down: 60_000}, 120_000, 0.48},
		{"isatdata, least", isatData, tariff.Usage{Messages: []int64{3}}, 20, 0.02},
		{"isatdata, steps", isatData, tariff.Usage{Messages: []int64{15, 20, 21, 30}}, 20 + 20 + 30 + 30, 0.1},
		{"isatdata, nothing sent", isatData, tariff.Usage{}, 0, 0},
		{"rockblock, full message", rockBlock, tariff.Usage{Messages: []int64{340}}, 350, 7 * 0.16},
		{"rockblock, mailbox check", rockBlock, tariff.Usage{Duration: time.Minute}, 50, 0.16},
		{"emnify", emnify, tariff.Usage{Up: 700, Down: 400}, 2_000, 0.0002},
		{"dial-up, 20 s", dialUp, tariff.Usage{Duration: 20 * time.Second}, 0, 0.48},
		{"dial-up, 21 s costs double", dialUp, tariff.Usage{Duration: 21 * time.Second}, 0, 0.96},
	} {
		if err := tt.plan.Check(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		billed, money := tt.plan.Cost(tt.usage)
		if billed != tt.billed || math.Abs(money-tt.money) > 1e-9 {
			t.Errorf("%s: got %d bytes, %v; want %d, %v", tt.name, billed, money, tt.billed, tt.money)
		}
	}
}

func TestOneSessionADayBeatsTwentyFour(t *testing.T) {
	const day = 240_000 // bytes up a day
	hourly, _ := bgan.Month(24, tariff.Usage{Up: day / 24, Down: 2_000})
	daily, money := bgan.Month(1, tariff.Usage{Up: day, Down: 2_000})
	if want := int64(73_050_000); hourly != want {
		t.Errorf("24 sessions a day: %d bytes a month, want %d", hourly, want)
	}
	if want := int64(8_826_875); daily != want || math.Abs(money-35.3075) > 1e-9 {
		t.Errorf("one session a day: %d bytes a month for %v, want %d for 35.3075", daily, money, want)
	}
}

func TestPeriodBeginsOnItsDay(t *testing.T) {
	p := tariff.Plan{ResetDay: 15}
	for now, want := range map[string]string{
		"2026-11-14T23:59:59Z":      "2026-10-15 2026-11-15",
		"2026-11-15T00:00:00Z":      "2026-11-15 2026-12-15",
		"2026-01-03T00:00:00Z":      "2025-12-15 2026-01-15",
		"2026-11-15T01:00:00+02:00": "2026-10-15 2026-11-15",
	} {
		moment, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		start, end := p.Period(moment)
		if got := start.Format(time.DateOnly) + " " + end.Format(time.DateOnly); got != want {
			t.Errorf("period of %s is %s, want %s", now, got, want)
		}
	}
}

func TestLastTenthOfAHardBudgetIsForAlarms(t *testing.T) {
	hard := tariff.Plan{Budget: 1000, Hard: true}
	soft := tariff.Plan{Budget: 1000}
	for _, tt := range []struct {
		plan   tariff.Plan
		spent  int64
		urgent bool
		want   bool
	}{
		{hard, 899, false, true},
		{hard, 900, false, false},
		{hard, 999, true, true},
		{hard, 1000, true, false},
		{soft, 5000, false, true},
		{tariff.Plan{}, 5000, false, true},
	} {
		if got := tt.plan.Allows(tt.spent, tt.urgent); got != tt.want {
			t.Errorf("hard %v, spent %d, urgent %v: allowed %v, want %v", tt.plan.Hard, tt.spent, tt.urgent, got, tt.want)
		}
	}
}

func TestCheckNamesTheField(t *testing.T) {
	for want, p := range map[string]tariff.Plan{
		"per_mb = -1":         {PerMB: -1},
		"per_mb = NaN":        {PerMB: math.NaN()},
		"floor_after = -1":    {FloorAfter: -time.Second},
		"reset_day = 29":      {ResetDay: 29},
		"message_min = -5":    {MessageMin: -5},
		"budget = 0: a hard ": {Hard: true},
	} {
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v doesn't name %s", err, want)
		}
	}
}
