package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

// imported prints an Import as a golden file holds it.
func imported(im *Import, err error) string {
	var b strings.Builder
	if im != nil {
		im.Explain(&b)
	}
	if err != nil {
		fmt.Fprintf(&b, "\n%v\n", err)
		return b.String()
	}
	for _, l := range im.Lists {
		fmt.Fprintf(&b, "\n-- %s --\n%s", l.File, l.Text)
	}
	return b.String()
}

// TestUglyListsAreUnderstood reads lists as people export them, and checks all
// that is said of them, all that is made of them, and that the daemon takes it.
func TestUglyListsAreUnderstood(t *testing.T) {
	lists, err := filepath.Glob("testdata/ugly/*.csv")
	if err != nil || len(lists) < 6 {
		t.Fatalf("%d lists, %v", len(lists), err)
	}
	for _, path := range lists {
		t.Run(filepath.Base(path), func(t *testing.T) {
			im, err := ReadImport(path, ImportOptions{Unit: 1})
			got := imported(im, err)
			golden := strings.TrimSuffix(path, ".csv") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("golden (-) and now (+):\n%s", diff)
			}
			if err != nil {
				return
			}
			points := 0
			for _, g := range loads(t, im).Groups {
				points += len(g.Points)
			}
			if points != im.Points {
				t.Errorf("%d points, want %d", points, im.Points)
			}
		})
	}
}

// loads checks that the daemon takes what was made of a list.
func loads(t *testing.T, im *Import) *Config {
	t.Helper()
	files := []string{"skyhaul.toml", im.Config}
	for _, l := range im.Lists {
		files = append(files, l.File, string(l.Text))
	}
	c, err := Load(write(t, files...))
	if err != nil {
		t.Fatalf("the daemon does not take it: %v\n%s", err, im.Config)
	}
	return c
}

// understood reads a small list.
func understood(list string, o ImportOptions) (*Import, error) {
	if o.Unit == 0 {
		o.Unit = 1
	}
	return readImport("l.csv", []byte(list), o)
}

func TestAddressesOfAListAreMeantInOneWay(t *testing.T) {
	for _, c := range []struct {
		name, stated, cells string // address and type, by commas
		want                string // of the first point, or of the error
	}{
		{"modicon", "", "40101 REAL,40103 REAL", "holding 40101 (wire 100)"},
		{"six digits", "", "400101 REAL,465535 REAL", "holding 400101 (wire 100)"},
		{"modicon with coils that lost their zeros", "", "40101 REAL,17 BOOL", "holding 40101 (wire 100)"},
		{"five and six digits", "", "40101 REAL,410001 REAL", "holding 40101 (wire 100)"},
		{"digit and number", "", "4x0101 REAL,3x1 INT,40103 REAL", "holding 40101 (wire 100)"},
		{"digit and number of coils", "", "4x0101 REAL,0x0010 BOOL", "holding 40101 (wire 100)"},
		{"long number behind the digit", "", "4x10001 REAL", "holding 410001 (wire 10000)"},
		{"hexadecimal", "", "0x64 REAL,66h REAL,16#68 REAL", "holding 100 (wire 100)"},
		{"PLC", "", "%MW100 REAL,%IW3 INT,%M5 BOOL,%I6 BOOL,%MW2.3 BOOL", "holding 100 (wire 100)"},
		{"from zero", "", "0 REAL,2 REAL", "holding 0 (wire 0)"},
		{"to the last", "", "100 REAL,65536 INT", "holding 100 (wire 99)"},
		{"stated", "one-based", "100 REAL,102 REAL", "holding 100 (wire 99)"},
		{"stated against its looks", "zero-based", "40101 REAL", "holding 40101 (wire 40101)"},
		{"digit and number, stated otherwise", "zero-based", "4x0101 REAL,102 REAL", "holding 100 (wire 100)"},
		{"letters", "zero-based", "HR100 REAL,IR 5 INT,DI7 BOOL,CO8 BOOL", "holding 100 (wire 100)"},
		{"thousands", "", "40.101 REAL,\"40,103\" REAL,40 105 REAL", "holding 40101 (wire 100)"},
		{"fractions of a program", "", "40101.0 REAL,40103.0 REAL", "holding 40101 (wire 100)"},
		{"spans", "", "40101-40102 REAL,40103 - 40106 LREAL", "holding 40101 (wire 100)"},
		{"bits", "", "40101.0 BOOL,40101.15 BOOL,40101/10 BOOL,40102 bit 3 BOOL", "bool, bit 0 of holding 40101 (wire 100)"},
		{"double words by %MF", "", "%MD100 DINT,%MF102 REAL", "holding 100 (wire 100)"},
		{"double words that would overlap", "", "%MD100 REAL,%MD101 REAL", "holding 200 (wire 200)"},
		{"double words over a word", "", "%MD100 REAL,%MW101 INT", "holding 200 (wire 200)"},
		{"halves over a word", "", "%MD100 REAL,%MW200 INT", "holding 100 (wire 100)"},

		{"base unknown", "", "100 REAL,102 REAL", `l.csv: "100" in row 2, address, is holding, wire 100 if the list counts from zero and holding, wire 99 if it counts from one, and nothing in the list decides: say --addresses zero-based or --addresses one-based`},
		{"letters unknown", "", "IR100 REAL", `"IR100" in row 2, address, is input, wire 100 if the list counts from zero and input, wire 99`},
		{"SunSpec", "", "40000 REAL,40002 REAL", `address: "40000" is before the first of its table, 40001: does the list count from 40000?`},
		{"modicon and plain", "", "40101 REAL,100 REAL", `l.csv: the addresses are written in two ways: "40101" in row 2, address, is holding, wire 100, if its first digit is the table's; "100" in row 3, address, is holding, wire 100 if the list counts from zero and holding, wire 99 if it counts from one: write all of them one way`},
		{"modicon and hexadecimal", "", "40101 REAL,0x64 REAL", `the addresses are written in two ways: "40101" in row 2, address, is holding, wire 100, if its first digit is the table's; "0x64" in row 3, address, is holding, wire 100: write`},
		{"plain and hexadecimal", "", "0x64 REAL,102 REAL", `"102" in row 3, address, is holding, wire 102 if the list counts from zero and holding, wire 101`},
		{"zeros that may be lost", "", "400101 REAL,10001 BOOL", `"10001" in row 3, address, is discrete, wire 0 by its five digits, and coil, wire 10000 if it was 010001`},
		{"double words unknown", "", "%MD100 REAL,%MD102 REAL", `"%MD100" in row 2, address, is holding, wire 100 if double words lie over the words of the same number, and holding, wire 200`},
		{"double word of no type", "", "%MF0 ,%MD2 ", `type: is missing: "%MD2" is 32 bits`},
		{"bits of bytes", "", "%MX0.0 BOOL", `is no address`},
		{"span that does not fit", "", "40101-40102 INT", `"40101-40102" are 2 registers, and a int16 takes 1`},
		{"span of no type", "", "40101-40102 ", `type: is missing: "40101-40102" are 2 registers`},
		{"hexadecimal, stated as modicon", "modicon", "0x64 REAL", `"0x64" is hexadecimal, not an address in modicon notation`},
		{"zero, stated as one-based", "one-based", "0 REAL", `there is no "0" where 1 is the first`},
		{"past the end", "zero-based", "65536 INT", `"65536" is past the end of the table`},
		{"a bit as Excel keeps it", "", "40101.1 BOOL,40101.1 BOOL", `a spreadsheet makes 40001.1 of 40001.10`},
		{"bit 16", "", "40101.16 BOOL", `bit: "16" is not between 0 and 15`},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := "tag;address;type\n"
			for i, cell := range strings.Split(strings.ReplaceAll(c.cells, `"40,103"`, "40'103"), ",") {
				at := strings.LastIndexByte(cell, ' ')
				list += fmt.Sprintf("T%d;%s;%s\n", i, cell[:at], cell[at+1:])
			}
			im, err := understood(list, ImportOptions{Addresses: c.stated})
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
				return
			}
			if !strings.Contains(im.words[0], c.want) {
				t.Errorf("got  %s\nwant %s", im.words[0], c.want)
			}
			loads(t, im)
		})
	}
}

func TestListsAreReadAsTheyCome(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"ids are kept and given", "Tag;Address;ID\nA;40001;7\nB;40002;\n", "id,tag,address\n7,A,40001\n8,B,40002\n"},
		{"one range in one column", "tag,address,type,Range\nA,40001,REAL,0 to 250 bar\nB,40003,REAL,-20..60\n", "id,tag,address,type,eng_low,eng_high,unit\n1,A,40001,float32,0,250,bar\n2,B,40003,float32,-20,60,\n"},
		{"function codes", "tag,register,FC,type\nA,0,4,INT\nB,5,01,BOOL\n", "id,tag,table,address,type\n1,A,input,0,int16\n2,B,coil,5,bool\n"},
		{"names of tables", "tag,register,Register type,type\nA,0,Input register,INT\nB,5,4x,INT\n", "id,tag,table,address,type\n1,A,input,0,int16\n2,B,holding,5,int16\n"},
		{"hexadecimal by its heading", "tag,Address (hex),type\nA,9C40,INT\nB,10,INT\n", "id,tag,address,type\n1,A,40000,int16\n2,B,16,int16\n"},
		{"empty as people write it", "tag,address,type,hi,lo\nA,40001,REAL,-,n/a\n", "id,tag,address,type\n1,A,40001,float32\n"},
		{"comments and blank rows", "# made by hand\ntag,address\n\n# a\nA,40001\n,\n\nB,40002\n", "id,tag,address\n1,A,40001\n2,B,40002\n"},
		{"headings again on every page", "tag,address\nA,40001\ntag,address\nB,40002\n", "id,tag,address\n1,A,40001\n2,B,40002\n"},
		{"blank columns", ";tag;;address;\n;A;;40001;\n", "id,tag,address\n1,A,40001\n"},
		{"inches", "tag,description,address\nA,6\" inlet,40001\nB,\"8\"\" outlet, east\",40002\n", "id,tag,description,address\n1,A,\"6\"\" inlet\",40001\n2,B,\"8\"\" outlet, east\",40002\n"},
		{"signals", "tag,address,type,signal,raw_low,raw_high,eng_low,eng_high\nA,40001,int16,4..20 mA,0,27648,0,60\n", "id,tag,address,type,raw_low,raw_high,eng_low,eng_high,signal\n1,A,40001,int16,0,27648,0,60,4-20mA\n"},
		{"signals of all kinds", "tag,address,signal\nA,40001,4-20mA HART\nB,40002,Pt100\n", "id,tag,address\n1,A,40001\n2,B,40002\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			im, err := understood(c.list, ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(im.Lists[0].Text)); diff != "" {
				t.Error(diff)
			}
			loads(t, im)
		})
	}
}

func TestListsThatCanNotBeReadSaySo(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"workbook", "PK\x03\x04...", "l.csv: this is a workbook: save the sheet as CSV"},
		{"zero bytes", "t\x00a\x00g\x00", "l.csv: this is no text"},
		{"another encoding", "tag,address\nM\x81ller,40001\n", "l.csv: line 2: letters in an encoding that is neither UTF-8, UTF-16 nor Windows-1252"},
		{"empty", "\n\n", "no header line"},
		{"no headings", "PT-101;40001;REAL\n", `no column tag: a line must name the columns, as id,tag,address,type; the first one is "PT-101;40001;REAL"`},
		{"no address", "tag,type\nA,REAL\nB,REAL\n", `l.csv:1: no column is known as the address: give it the heading address; there are ["tag" "type"]`},
		{"two columns of one key", "tag,Address,Register\nA,40001,1\n", `l.csv:1: columns "Address" and "Register" are both the address: take one of them out`},
		{"no points", "tag,address\n", "l.csv: no points in it"},
		{"open quote", "tag,address,description\nA,40001,\"pump\nB,40002,\n", `l.csv:2: a quote is opened and never closed: "\"pump`},
		{"both marks", "tag;address;scale;hi\nA;40001;1,5;\nB;40002;0.25;\n", `there are numbers with a decimal comma ("1,5" in row 2, scale) and with a decimal point ("0.25" in row 3, scale)`},
		{"one number, two ways", "tag;address;hi\nA;40001;1,234\n", `l.csv:2: hi: "1,234" is 1.234 with a decimal comma and 1234 with a decimal point, and no other number of the list decides: write it as 1,2340 or 1234`},
		{"type and order that differ", "tag,address,type,byte order\nA,40001,float CDAB,ABCD\n", `byte order (order): "ABCD" is ABCD, but the type "float CDAB" says CDAB`},
		{"table and address that differ", "tag,address,table\nA,4x1,input\n", `address: "4x1" is in table holding, but another column says input`},
		{"range that is none", "tag,address,range\nA,40001,wide\nB,40002,\n", `range: "wide" is no range`},
		{"type of one missing", "tag,address,type\nA,40001,REAL\nB,40003,\nC,10001,\n", `l.csv:3: tag "B": type: is missing`},
		{"types of nobody", "tag,address,type\nA,40001,K1\nB,40003,K2\nC,40005,K3\nD,40007,K4\n", `uint8low (and 3 more rows like it)`},
		{"swapped limits", "tag,address,type,hi,hihi\nA,40001,REAL,9,8\nB,40003,REAL,9,8\nC,40005,REAL,9,8\nD,40007,REAL,9,8\n", `hihi: 8 is not above the limit before it, 9: lolo < lo < hi < hihi (and 3 more rows like it; it is so in every row: is column hihi swapped with the one below it?)`},
		{"swapped columns", "tag,address,description\nA,pump,40001\nB,pump,40002\nC,pump,40003\nD,pump,40004\n", `l.csv:2: tag "A": address: "pump" is no address: write it as 40101, 4x0101, 0x64, %MW100, HR100 or 100, with its bit as 40101.3 (and 3 more rows like it; column description holds numbers only: are the two swapped?)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := understood(c.list, ImportOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestNumbersAreMeantInOneWay(t *testing.T) {
	for _, c := range []struct {
		cells     string // by spaces; _ is a space
		separator rune
		want      string // as the program writes them, or "" for an error
	}{
		{"1,5 0,125", ';', "1.5 0.125"},
		{"1.5 0.125", ';', "1.5 0.125"},
		{"1.234,5 2.000", ';', "1234.5 2000"},
		{"1,234.5 2,000", ',', "1234.5 2000"},
		{"1_234,5", '\t', "1234.5"},
		{"1'234.5", ';', "1234.5"},
		{"1,234,567", ';', "1234567"},
		{"1.234 1,5", ';', "1234 1.5"},
		{"1.234", ',', "1.234"},
		{"0,125 1,234", ';', "0.125 1.234"},
		{"-1,5 +2,25 1e3", ';', "-1.5 +2.25 1e3"},
		{"100 -20", ';', "100 -20"},
		{"1,234", ';', ""},
		{"1.234", '\t', ""},
		{"1,234", ',', ""},
		{"1,5 1.5", ';', ""},
	} {
		var cells []cell
		for i, text := range strings.Fields(c.cells) {
			cells = append(cells, cell{i, "hi", strings.ReplaceAll(text, "_", " ")})
		}
		m, _, err := decideMark("l.csv", cells, c.separator)
		var got []string
		for i := range cells {
			got = append(got, m.canonical(cells[i].text))
		}
		if (err != nil) != (c.want == "") || err == nil && strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, %v; want %s", c.cells, got, err, c.want)
		}
	}
}

func TestMeasuresOfAListKeepTheDaemonGoing(t *testing.T) {
	list := "tag,address,type,scan class\n"
	for i := range 400 {
		list += fmt.Sprintf("T-%03d,%d,REAL,%s\n", i, 400001+7*i, []string{"fast", "slow", ""}[i%3])
	}
	im, err := understood(list, ImportOptions{Unit: 9})
	if err != nil {
		t.Fatal(err)
	}
	c := loads(t, im)
	if len(c.Groups) != 2 || c.Groups[0].Interval < 5e9 || c.Groups[0].Points[0].Unit != 9 {
		t.Errorf("%d groups, every %v, unit %d", len(c.Groups), c.Groups[0].Interval, c.Groups[0].Points[0].Unit)
	}
}

// FuzzTagList reads lists that may be anything: what is made of one that is
// right, the daemon takes, and makes of it the same again.
func FuzzTagList(f *testing.F) {
	lists, _ := filepath.Glob("testdata/ugly/*.csv")
	for _, path := range lists {
		text, _ := os.ReadFile(path)
		f.Add(text[:min(len(text), 2000)])
	}
	f.Add([]byte("tag;address;type;hi\nA;%MW1.3;BOOL;\nB;4x0001;REAL;1,5\n"))
	f.Add([]byte("sep=|\ntag|address\nA|0x10\n"))
	f.Fuzz(func(t *testing.T, list []byte) {
		if len(list) > 4096 {
			t.Skip()
		}
		im, err := readImport("l.csv", list, ImportOptions{Unit: 1})
		if err != nil {
			return
		}
		loads(t, im)
		notation := regexp.MustCompile(`addresses = "(.*)"`).FindStringSubmatch(im.Config)[1]
		for _, l := range im.Lists {
			again, err := readImport("points.csv", l.Text, ImportOptions{Unit: 1, Addresses: notation})
			if err != nil || !bytes.Equal(again.Lists[0].Text, l.Text) {
				t.Errorf("read again: %v\n%s", err, l.Text)
			}
		}
	})
}

func BenchmarkTagListOf50000Rows(b *testing.B) {
	var list strings.Builder
	list.WriteString("tag;address;type;description;unit;hi;lo\n")
	for i := range maxTags {
		fmt.Fprintf(&list, "T-%d;%d;INT;pump %d;bar;1,5;0,5\n", i, i, i)
	}
	text := []byte(list.String())
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := readImport("l.csv", text, ImportOptions{Unit: 1, Addresses: "zero-based"}); err != nil {
			b.Fatal(err)
		}
	}
}

// %MD100 and 0x64 are numbers on the wire: where one is the first they are no
// addresses.
func TestWireFormsAreNotCountedFromOne(t *testing.T) {
	for _, text := range []string{"tag;address;type\nA;%MD100;int32\nB;%MD101;int32\nC;5;uint16\n", "tag;address;type\nA;0x64;uint16\nB;7;uint16\n"} {
		_, err := readImport("l.csv", []byte(text), ImportOptions{Unit: 1, Addresses: "one-based"})
		if err == nil || !strings.Contains(err.Error(), "not an address in one-based notation") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
