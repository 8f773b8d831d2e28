package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeadingsAreKnownInSixLanguages(t *testing.T) {
	for heading, want := range map[string]string{
		"Tag No.": "tag", "TagName": "tag", "KKS": "tag", "Meßstelle": "tag", "Repère": "tag",
		"Description / Service": "description", "Adresse / Address": "address", "Tag/Adresse": "", "Service": "description", "Bezeichnung": "description", "Descripción": "description", "Libellé": "description", "Descrição": "description",
		"Modbus Address": "address", "Reg.": "address", "Register (4x)": "address", "Dirección Modbus": "address", "Endereço": "address", "Register Nr.": "address",
		"Address (hex)": "address", "Data Type": "type", "Datentyp": "type", "Tipo de dato": "type", "Byte Order": "order", "Func. code": "", "Function Code": "function", "FC": "function",
		"Eng. Unit": "unit", "E.U.": "unit", "Einheit": "unit", "Unité": "unit", "Enhet": "unit", "Slave ID": "unit_id", "Geräteadresse": "unit_id", "Unit ID": "unit_id",
		"Scale Factor": "scale", "Faktor": "scale", "Multiplier": "scale", "Gain": "scale", "scale": "scale",
		"Range Low": "eng_low", "RangeHigh": "eng_high", "LRV": "eng_low", "URV [bar]": "eng_high", "Messbereich Anfang": "eng_low", "MB Ende": "", "EU min": "eng_low", "Måleområde øvre": "eng_high",
		"Rango inferior": "eng_low", "Échelle haute": "eng_high", "Raw Low": "raw_low", "Raw max": "raw_high", "Rohwert min": "raw_low", "valid_low": "valid_low",
		"HH": "hihi", "H Alarm": "hi", "Hi-Hi": "hihi", "High High Alarm": "hihi", "Alarm L": "lo", "LL": "lolo", "LoLo": "lolo", "Lav alarm": "lo", "Høy-høy alarm": "hihi", "Alarma muy alta": "hihi",
		"Alarme basse": "lo", "Grenzwert HH": "hihi", "Grenzwert oben": "hi", "Alarm Limits H": "hi",
		"High": "", "Min": "", "Cabinet": "", "": "", "Rev.": "", "signal": "",
	} {
		if got := keyOf(heading); got != want {
			t.Errorf("%q is %q, want %q", heading, got, want)
		}
	}
	for _, key := range columns {
		if got := keyLike(key); got != key && key != "signal" && key != "offset" {
			t.Errorf("the key %q is taken for %q", key, got)
		}
	}
}

func TestHeadingsGiveWayToBetterOnes(t *testing.T) {
	for _, c := range []struct{ headings, want string }{
		{"name|address|type", "tag|address|type"},
		{"tag|name|address|type|data type", "tag|description|address||type"},
		{"tag|service|name|comment|register", "tag|description|||address"},
		{"tag|offset|scale", "tag|address|scale"},
		{"tag|register|offset|scale", "tag|address|offset|scale"},
		{"tag|bereich", "tag|table"},
	} {
		got := keysOfHeadings(strings.Split(c.headings, "|"))
		if diff := cmp.Diff(strings.Split(c.want, "|"), got); diff != "" {
			t.Errorf("%s: %s", c.headings, diff)
		}
	}
}
