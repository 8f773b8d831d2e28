package config

import (
	"strings"
	"testing"

	"skyhaul/edge/point"
)

func TestTypesAreKnownAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"REAL": "float32", "Float": "float32", "FLOAT32": "float32", "32 bit float": "float32", "32-Bit Floating Point": "float32", "IEEE754": "float32",
		"IEEE 754 float": "float32", "single precision": "float32", "F32": "float32", "LREAL": "float64", "Double": "float64", "Float64": "float64", "Gleitkomma": "float32",
		"INT": "int16", "INT16": "int16", "S16": "int16", "16 bit signed": "int16", "signed 16-bit integer": "int16", "DINT": "int32", "INT32": "int32", "32 bit signed integer": "int32",
		"UINT": "uint16", "WORD": "uint16", "U16": "uint16", "unsigned int 16": "uint16", "UDINT": "uint32", "DWORD": "uint32", "32-bit unsigned": "uint32", "LINT": "int64", "ULINT": "uint64",
		"Long 32": "int32", "Integer 16": "int16", "BOOL": "bool", "Bit": "bool", "1 bit": "", "Booléen": "bool", "Digital": "bool", "BCD": "bcd16", "BCD32": "bcd32", "32 bit BCD": "bcd32",
		"float swapped": "float32 CDAB", "FLOAT32 CDAB": "float32 CDAB", "REAL (CD AB)": "float32 CDAB", "Float BE": "float32 ABCD",
		"UINT32 word swap": "uint32 CDAB", "float, low word first": "float32 CDAB", "Float byte swapped": "float32 BADC", "LREAL swapped": "float64 CDAB", "DOUBLE GHEFCDAB": "float64 GHEFCDAB",
		"CDAB": " CDAB",
	} {
		name, order, err := parseTypeName(text)
		if got := strings.TrimRight(name+" "+order, " "); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	for _, name := range typeNames {
		got, order, err := parseTypeName(name)
		if _, ok := point.ParseType(name); got != name || order != "" || err != nil || !ok && packed[name].typ == 0 {
			t.Errorf("%q is %q %q, %v", name, got, order, err)
		}
	}
}

func TestTypesThatMeanSeveralThingsAreExplained(t *testing.T) {
	for text, want := range map[string]string{
		"INTEGER": "16 bits in one list and 32 in another", "LONG": "32 bits in one list and 64 in another", "float little endian": "DCBA in one device and CDAB in another", "Float inverse": "DCBA in one device and CDAB in another",
		"REAL LE": "DCBA in one device and CDAB in another", "BYTE": "half a register", "AI": "kind of signal", "STRING": "is text", "unsigned": "how many bits", "float16": "how many bits",
		"DINT16": "is not one of bool", "WORD 32": "is not one of bool", "Pt100": "is not one of bool", "?": "is not one of bool",
	} {
		if name, _, err := parseTypeName(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %q, %v; want %s", text, name, err, want)
		}
	}
}

func TestOrdersAreKnownAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"ABCD": "ABCD", "cdab": "CDAB", "CD AB": "CDAB", "BA-DC": "BADC", "DCBA": "DCBA", "big endian": "ABCD", "Word swap": "CDAB", "1-0-3-2": "CDAB", "0123": "DCBA",
		"3-2-1-0": "ABCD", "2-3-0-1": "BADC", "LSW first": "CDAB", "MSW first": "ABCD", "byte swap": "BADC", "little endian": "", "reversed": "", "Big-endian byte swap": "BADC", "Little-endian byte swap": "CDAB",
		"yes": "", "ABBA": "", "normal order": "ABCD",
	} {
		if got, err := parseOrderName(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}
