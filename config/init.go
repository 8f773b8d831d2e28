package config

import _ "embed" // the first configuration

// Starter is a first configuration; its points are in points.csv beside it.
//
//go:embed starter.toml
var Starter string

// StarterPoints is a first tag list.
const StarterPoints = "id,tag,description,address,type,unit,scale,lo,hi,group\n" +
	"1,PT-101,line pressure,40001,uint16,bar,0.01,,60,fast\n"

// columns is the order in which a canonical tag list is written.
var columns = []string{
	"id", "tag", "description", "table", "address", "type", "bit", "order",
	"raw_low", "raw_high", "eng_low", "eng_high", "scale", "offset", "unit", "decimals",
	"valid_low", "valid_high", "lolo", "lo", "hi", "hihi", "deadband", "alarm_delay", "frozen_after",
	"signal", "sentinel", "lane", "group", "send", "max_silence", "enabled",
}
