package config

import (
	"regexp"
	"slices"
	"strings"
)

// The keys of a list that is not the program's own, beside those of a point.
const (
	keyUnitID   = "unit_id"  // of the unit that the point is in
	keyFunction = "function" // code that reads the point: it tells the table
	keyRange    = "range"    // both ends in one cell
)

// headingWords are the headings of tag lists in English, German, Norwegian,
// Spanish, French and Portuguese: small letters and digits only.
var headingWords = map[string]string{
	"id": "id pointid",
	"tag": "tag tagname tagno tagnr tagnumber tagid tagdescriptor pointname kks kkscode kkskennzeichen kennzeichen akz pltstelle messstelle messstellennummer messstellenkennzeichen " +
		"tagnavn tagnummer etiqueta tagnombre nombredetag repere codetag etiquette",
	"description": "description desc tagdescription service servicedescription beschreibung bezeichnung benennung klartext beskrivelse benevnelse descripcion servicio designation libelle descricao servico",
	"address": "address addr adr registeraddress register reg regno regnr regaddress registerno registernr registernumber modbusaddress modbusaddr modbusregister modbusreg mbaddress startaddress startregister startingaddress " +
		"adresse modbusadresse registeradresse registernummer startadresse direccion direccionmodbus registro direccionregistro adressemodbus registre endereco enderecomodbus registrador",
	"table":     "table registertype regtype registertable modbustable memoryarea objecttype registerart registertyp registertype tipoderegistro tiporegistro typederegistre typeregistre",
	keyFunction: "functioncode fc function fct func modbusfunction functionno funktionscode funktion funksjonskode codigodefuncion funcion codefonction codedefonction codigodefuncao funcao",
	"type":      "datatype dataformat modbustype vartype valuetype registerformat datentyp datenformat datatype tipodedato tipodato tipodedatos typededonnee typedonnee typededonnees tipodedado tipodado",
	"bit":       "bit bitno bitnr bitnumber bitposition bitpos bitoffset bitnummer numerodebit",
	"order":     "order byteorder wordorder endian endianness byteswap wordswap swap bytereihenfolge wortreihenfolge byterekkefolge ordendebytes ordredesoctets ordemdosbytes",
	"scale":     "scale factor scalefactor scalingfactor multiplier multiplicator gain faktor skalierung skalierungsfaktor umrechnungsfaktor skalering skaleringsfaktor facteur facteurdechelle multiplicador escala factordeescala fator fatordeescala",
	"unit": "eu unit units engunit engunits engineeringunit engineeringunits euunits uom unitofmeasure einheit masseinheit enhet benevning maleenhet unidad unidades unidaddeingenieria unite unites unitedemesure " +
		"unidade unidadedeengenharia",
	keyUnitID: "unitid unitno modbusid modbusunit modbusunitid slave slaveid slaveno slavenr slaveaddress slaveadr node nodeid nodeno nodeaddress deviceid deviceaddress stationno stationaddress rtuaddress " +
		"gerateadresse slaveadresse geratenummer slavenummer enhetsadresse noeud esclave esclavo idesclavo escravo idescravo noescravo",
	keyRange:       "range measuringrange measurementrange instrumentrange calibratedrange calibrationrange messbereich maleomrade omrade rango rangodemedida rangodemedicion plage plagedemesure etendue faixa faixademedicao",
	"eng_low":      "lrv lrl messbereichsanfang messbereichanfang mba messanfang",
	"eng_high":     "urv url messbereichsende messbereichende mbe messende",
	"deadband":     "deadband hysteresis hyst hysterese alarmdeadband histeresis hysteresistotzone totzone bandamuerta histerese",
	"alarm_delay":  "alarmdelay delaytime alarmverzogerung verzogerung alarmforsinkelse retardodealarma temporisation",
	"decimals":     "decimals decimalplaces nachkommastellen desimaler decimales casasdecimais",
	"sentinel":     "sentinel badvalue errorvalue invalidvalue fehlerwert",
	"group":        "group scangroup scanclass pollgroup",
	"offset":       "scaleoffset engoffset bias",
	"raw_low":      "rawzero",
	"raw_high":     "rawspan rawfullscale",
	"frozen_after": "frozenafter", "valid_low": "validlow", "valid_high": "validhigh", "max_silence": "maxsilence",
}

// secondChoice are headings that mean the first of some keys that no other
// heading means, and nothing where all are taken.
var secondChoice = map[string][]string{
	"name": {"tag", "description"}, "navn": {"tag", "description"}, "nombre": {"tag", "description"}, "nom": {"tag", "description"}, "nome": {"tag", "description"},
	"signalname": {"tag", "description"}, "variable": {"tag", "description"}, "symbol": {"tag", "description"},
	"type": {"type"}, "typ": {"type"}, "tipo": {"type"}, "format": {"type"}, "formato": {"type"},
	"comment": {"description"}, "comments": {"description"}, "kommentar": {"description"}, "comentario": {"description"}, "commentaire": {"description"},
	"offset": {"address", "offset"}, "area": {"table"}, "bereich": {"table", keyRange},
	"station": {keyUnitID}, "device": {keyUnitID}, "scaling": {"scale"},
}

// keyOfHeading is headingWords by heading, with the keys themselves.
var keyOfHeading = func() map[string]string {
	keys := map[string]string{}
	for key, words := range headingWords {
		for _, w := range strings.Fields(words) {
			keys[w] = key
		}
	}
	for _, key := range columns {
		if w := strings.ReplaceAll(key, "_", ""); secondChoice[w] == nil && w != "signal" {
			keys[w] = key
		}
	}
	return keys
}()

// What headings of several words are made of: which end of what, as in "Range
// low", "Alarm H" or "Messbereich Ende".
var (
	endWords = map[string]string{
		"l": "lo", "lo": "lo", "low": "lo", "lower": "lo", "min": "lo", "minimum": "lo", "anfang": "lo", "unten": "lo", "untere": "lo", "unterer": "lo", "lav": "lo", "lavt": "lo", "nedre": "lo",
		"von": "lo", "from": "lo", "zero": "lo", "baja": "lo", "bajo": "lo", "inferior": "lo", "bas": "lo", "basse": "lo", "baixo": "lo", "baixa": "lo", "mini": "lo", "minimo": "lo", "start": "lo",
		"h": "hi", "hi": "hi", "high": "hi", "upper": "hi", "max": "hi", "maximum": "hi", "ende": "hi", "end": "hi", "oben": "hi", "obere": "hi", "oberer": "hi", "hoy": "hi", "hoyt": "hi", "ovre": "hi",
		"bis": "hi", "to": "hi", "alta": "hi", "alto": "hi", "superior": "hi", "haut": "hi", "haute": "hi", "maxi": "hi", "maximo": "hi", "hoch": "hi",
		"ll": "lolo", "lolo": "lolo", "lowlow": "lolo", "hh": "hihi", "hihi": "hihi", "highhigh": "hihi",
	}
	very         = []string{"very", "sehr", "muy", "tres", "muito", "svaert"}
	subjectWords = map[string]string{
		"range": "eng", "messbereich": "eng", "maleomrade": "eng", "omrade": "eng", "rango": "eng", "plage": "eng", "etendue": "eng", "echelle": "eng", "faixa": "eng", "escala": "eng",
		"span": "eng", "scale": "eng", "eu": "eng", "eng": "eng", "engineering": "eng",
		"raw": "raw", "counts": "raw", "count": "raw", "adc": "raw", "rohwert": "raw", "roh": "raw", "brut": "raw", "crudo": "raw", "bruto": "raw", "digits": "raw",
		"valid": "valid", "plausibel": "valid",
		"alarm": "", "alarms": "", "alarma": "", "alarme": "", "alm": "", "limit": "", "limits": "", "setpoint": "", "trip": "", "grenzwert": "", "grenze": "", "gw": "", "grense": "", "limite": "", "seuil": "",
	}
	alarmEnds = []string{"l", "lo", "h", "hi", "ll", "lolo", "hh", "hihi", "lowlow", "highhigh"} // that say alarm by themselves
)

var (
	bracketed   = regexp.MustCompile(`\([^)]*\)|\[[^\]]*\]`)
	headingWord = regexp.MustCompile(`[a-z]+|[0-9]+`)
	camel       = regexp.MustCompile(`(\p{Ll})(\p{Lu})`)
)

// maxHeading bounds the bytes of a heading: longer ones are text.
const maxHeading = 80

// keysOfHeadings returns what a list's headings mean, one key a heading, "" for
// none.
func keysOfHeadings(headings []string) []string {
	keys := make([]string, len(headings))
	for i, h := range headings {
		keys[i] = keyOf(h)
	}
	for i, h := range headings {
		if keys[i] != "" {
			continue
		}
		for _, key := range secondChoice[compact(h)] {
			if !slices.Contains(keys, key) {
				keys[i] = key
				break
			}
		}
	}
	return keys
}

// keyLike is keyOf for a heading that is looked at by itself.
func keyLike(heading string) string {
	if key := keyOf(heading); key != "" {
		return key
	}
	if keys := secondChoice[compact(heading)]; keys != nil {
		return keys[0]
	}
	return ""
}

// keyOf returns the key that a heading means whatever the others are.
func keyOf(heading string) string {
	if len(heading) > maxHeading {
		return ""
	}
	for _, h := range []string{heading, bracketed.ReplaceAllString(heading, "")} {
		if key := keyOfHeading[compact(h)]; key != "" {
			return key
		}
		if key := endOf(h); key != "" {
			return key
		}
	}
	if strings.Count(heading, "/") == 1 { // the same twice, often in two languages
		first, second, _ := strings.Cut(heading, "/")
		if key := keyOf(first); key == keyOf(second) {
			return key
		}
	}
	return ""
}

// compact returns the letters and digits of a heading; "" for a text.
func compact(heading string) string {
	if len(heading) > maxHeading {
		return ""
	}
	return strings.Join(headingWord.FindAllString(unaccented(heading), -1), "")
}

// endOf reads a heading that names one end of a range, or a limit.
func endOf(heading string) string {
	end, subject, said := "", "", false
	double := false
	for _, w := range headingWord.FindAllString(unaccented(camel.ReplaceAllString(heading, "$1 $2")), -1) {
		of, isSubject := subjectWords[w]
		switch {
		case slices.Contains(very, w):
			double = true
		case endWords[w] != "" && end == "":
			end = endWords[w]
			said = said || slices.Contains(alarmEnds, w)
		case endWords[w] != "" && endWords[w] == end:
			double, said = true, true
		case isSubject:
			subject, said = of, true
		default:
			return ""
		}
	}
	if double && len(end) == 2 {
		end += end
	}
	switch {
	case end == "" || !said:
		return ""
	case subject == "":
		return end
	case end == "lo":
		return subject + "_low"
	case end == "hi":
		return subject + "_high"
	}
	return ""
}

// base tells how a heading says that its addresses count: "zero-based",
// "one-based", or "" where it says nothing.
func base(heading string) string {
	switch h := compact(heading); {
	case strings.Contains(h, "0based"), strings.Contains(h, "zerobased"), strings.Contains(h, "base0"), strings.Contains(h, "wireaddress"):
		return "zero-based"
	case strings.Contains(h, "1based"), strings.Contains(h, "onebased"), strings.Contains(h, "base1"):
		return "one-based"
	}
	return ""
}

// hexadecimal reports whether a heading says that its addresses are so.
func hexadecimal(heading string) bool {
	return slices.Contains(headingWord.FindAllString(unaccented(heading), -1), "hex")
}
