package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"skyhaul/modbus"
)

// typeNames are the types of a point as the program writes them.
var typeNames = []string{
	"bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
	"bcd16", "bcd32", "bcd64", "mod10k32", "mod10k64", "signmag16", "signmag32", "uint8high", "uint8low",
}

// typeWord is what words say of a type.
type typeWord struct {
	family string // what the names above begin with
	bits   string // where no others are said; "" where they must be
	fixed  bool   // no others can be said
}

// typeWords are the words of PLCs (IEC 61131-3 first), instruments and manuals,
// in alphabetical order where there are several.
var typeWords = map[string]typeWord{
	"": {"bool", "", true}, "bool": {"bool", "", true}, "boolean": {"bool", "", true}, "binary": {"bool", "", true}, "digital": {"bool", "", true},
	"discrete": {"bool", "", true}, "coil": {"bool", "", true}, "flag": {"bool", "", true}, "binar": {"bool", "", true},
	"booleen": {"bool", "", true}, "booleano": {"bool", "", true}, "binaire": {"bool", "", true},
	"int": {"int", "16", false}, "short": {"int", "16", true}, "dint": {"int", "32", true}, "lint": {"int", "64", true},
	"uint": {"uint", "16", false}, "word": {"uint", "16", true}, "ushort": {"uint", "16", true},
	"udint": {"uint", "32", true}, "dword": {"uint", "32", true}, "ulint": {"uint", "64", true}, "lword": {"uint", "64", true}, "qword": {"uint", "64", true},
	"real": {"float", "32", false}, "float": {"float", "32", false}, "flt": {"float", "32", false}, "floating": {"float", "32", false},
	"single": {"float", "32", true}, "fp": {"float", "32", false}, "f": {"float", "", false}, "ieee": {"float", "32", false},
	"gleitkomma": {"float", "32", false}, "flyttall": {"float", "32", false}, "flottant": {"float", "32", false}, "flotante": {"float", "32", false},
	"flutuante": {"float", "32", false}, "lreal": {"float", "64", true}, "double": {"float", "64", true},
	"s": {"int", "", false}, "i": {"int", "", false}, "signed": {"int", "", false}, "int signed": {"int", "16", false}, "integer signed": {"int", "", false},
	"integer": {"int", "", false}, "long": {"int", "", false}, "entier": {"int", "", false}, "entero": {"int", "", false}, "heltall": {"int", "", false},
	"u": {"uint", "", false}, "unsigned": {"uint", "", false}, "int unsigned": {"uint", "16", false}, "integer unsigned": {"uint", "", false},
	"ulong": {"uint", "", false}, "long unsigned": {"uint", "", false}, "short unsigned": {"uint", "16", true},
	"bcd": {"bcd", "16", false}, "lbcd": {"bcd", "32", true},
}

// unclear says of words why they are no types, or which ones they may be.
var unclear = map[string]string{
	"integer": "is 16 bits in one list and 32 in another, with a sign or without: write int16, uint16, int32 or uint32",
	"long":    "is 32 bits in one list and 64 in another: write int32 or int64, or uint32 or uint64 if it has no sign",
	"ulong":   "is 32 bits in one list and 64 in another: write uint32 or uint64",
	"analog":  "is a kind of signal: write how registers hold it, as int16, uint16 or float32",
	"ai":      "is a kind of signal: write how registers hold it, as int16, uint16 or float32",
	"ao":      "is a kind of signal: write how registers hold it, as int16, uint16 or float32",
	"di":      "is a kind of signal: write bool",
	"do":      "is a kind of signal: write bool",
	"byte":    "is half a register: write uint8high or uint8low, or uint16 for the whole of it",
	"usint":   "is half a register: write uint8high or uint8low, or uint16 for the whole of it",
	"sint":    "is half a register with a sign, which can't be read by itself: write int16 for the whole of it",
	"string":  "is text, and a point is a number: take the row out",
	"ascii":   "is text, and a point is a number: take the row out",
	"char":    "is text, and a point is a number: take the row out",
}

var (
	// token splits what people write of types and orders.
	token = regexp.MustCompile(`[a-z]+|[0-9]+`)
	// typeFillers say nothing of a type.
	typeFillers = []string{"bit", "bits", "point", "precision", "value", "type", "number", "754"}
)

// parseTypeName reads a type as people write it, such as "32 bit float (CDAB)",
// with the order of its bytes where that is said too.
func parseTypeName(text string) (name, order string, err error) {
	if name = strings.ToLower(text); slices.Contains(typeNames, name) {
		return name, "", nil
	}
	tokens := token.FindAllString(unaccented(text), -1)
	order, tokens, err = cutOrder(tokens)
	if err != nil {
		return "", "", fmt.Errorf("%q %w", text, err)
	}
	bits, words := "", []string{}
	for _, t := range tokens {
		switch {
		case t == "16" || t == "32" || t == "64":
			bits = t
		case !slices.Contains(typeFillers, t):
			words = append(words, t)
		}
	}
	if len(words) > 1 {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "ieee" })
	}
	slices.Sort(words)
	said := strings.Join(words, " ")
	w, ok := typeWords[said]
	if bits == "" {
		bits = w.bits
	} else if w.fixed && bits != w.bits {
		ok = false
	}
	switch name = w.family + bits; {
	case len(tokens) == 0 && order != "":
		return "", order, nil // an order alone
	case len(tokens) == 0:
	case ok && slices.Contains(typeNames, name):
		return name, order, nil
	case unclear[said] != "":
		return "", "", fmt.Errorf("%q %s", text, unclear[said])
	case ok:
		return "", "", fmt.Errorf("%q does not say of how many bits it is: there are %s", text, strings.Join(typeNames, ", "))
	}
	return "", "", fmt.Errorf("%q is not one of %s", text, strings.Join(typeNames, ", "))
}

// orders are the words for the order of the bytes of a 32-bit value, beside its
// letters; in alphabetical order where there are several. The words of a value
// are what is swapped where nothing else is said.
var orders = map[string]string{
	"": "", "be": "ABCD", "bigendian": "ABCD", "big endian": "ABCD", "msw": "ABCD", "first msw": "ABCD", "first high word": "ABCD", "normal": "ABCD",
	"swapped": "CDAB", "swap": "CDAB", "wordswap": "CDAB",
	"swap word": "CDAB", "swapped word": "CDAB", "swapped words": "CDAB", "lsw": "CDAB", "first lsw": "CDAB", "first low word": "CDAB",
	"byte swap": "BADC", "byte swapped": "BADC", "bytes swapped": "BADC", "byteswap": "BADC",
	"big byte endian swap": "BADC", "byte endian little swap": "CDAB",
}

// ranks are orders written by the rank of each byte, the lowest is 0, as
// Endress+Hauser does.
var ranks = map[string]string{"3210": "ABCD", "1032": "CDAB", "2301": "BADC", "0123": "DCBA"}

// orderLetters are bytes in the order of the wire, or pairs of them.
var orderLetters = regexp.MustCompile(`^(?:ab|ba|cd|dc|ef|fe|gh|hg)+$`)

// doubtfulOrders are words that mean one order in one device and another in the
// next.
var doubtfulOrders = map[string]bool{
	"little": true, "le": true, "littleendian": true, "inverse": true, "inverted": true, "reversed": true, "reverse": true,
}

// orderWords are the words in orders, and those that are in none of them.
var orderWords = func() map[string]bool {
	words := maps.Clone(doubtfulOrders)
	for said := range orders {
		for _, w := range strings.Fields(said) {
			words[w] = true
		}
	}
	return words
}()

// cutOrder takes the words for an order out of others; rest is all of them where
// they tell of none.
func cutOrder(tokens []string) (order string, rest []string, err error) {
	var of []string
	for _, t := range tokens {
		if orderWords[t] || orderLetters.MatchString(t) {
			of = append(of, t)
		} else {
			rest = append(rest, t)
		}
	}
	letters := strings.ToUpper(strings.Join(of, ""))
	if _, err := modbus.ParseOrder(letters); err == nil {
		return letters, rest, nil
	}
	slices.Sort(of)
	if order, ok := orders[strings.Join(of, " ")]; ok {
		return order, rest, nil
	}
	if slices.ContainsFunc(of, func(w string) bool { return doubtfulOrders[w] }) {
		return "", nil, errors.New("is DCBA in one device and CDAB in another: write the letters")
	}
	return "", tokens, nil
}

// parseOrderName reads an order as people write it: letters, words or ranks.
func parseOrderName(text string) (string, error) {
	tokens := token.FindAllString(unaccented(text), -1)
	if o := ranks[strings.Join(tokens, "")]; o != "" {
		return o, nil
	}
	order, rest, err := cutOrder(slices.DeleteFunc(tokens, func(t string) bool { return t == "order" }))
	switch {
	case err != nil:
		return "", fmt.Errorf("%q %w", text, err)
	case order == "" || len(rest) > 0:
		return "", fmt.Errorf("%q is no order of bytes: write ABCD, CDAB, BADC or DCBA, A is the highest byte", text)
	}
	return order, nil
}

// fitOrder returns the order of 32-bit values as that of a type; "" where the
// type has none.
func fitOrder(order, typ string) string {
	switch size := sizeOf(typ); {
	case size == 8 && wide[order] != "":
		return wide[order]
	case size == 2 && len(order) > 2, size == 1:
		return ""
	}
	return order
}

// sizeOf returns how many bytes a type is, by its name.
func sizeOf(name string) int {
	typ, _, _ := typeNamed(name)
	return typ.Size()
}

// unaccented returns a text in small letters without accents.
func unaccented(text string) string { return accents.Replace(strings.ToLower(text)) }

var accents = strings.NewReplacer(
	"ä", "a", "á", "a", "à", "a", "â", "a", "ã", "a", "å", "a", "æ", "ae", "ç", "c", "é", "e", "è", "e", "ê", "e", "ë", "e",
	"í", "i", "ì", "i", "î", "i", "ñ", "n", "ö", "o", "ó", "o", "ò", "o", "ô", "o", "õ", "o", "ø", "o", "ß", "ss",
	"ü", "u", "ú", "u", "ù", "u", "û", "u", "º", "", "°", "",
)
