package modbus_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

func TestReadsKeepTheLimitsOfTheStandard(t *testing.T) {
	tests := []struct {
		fc       modbus.FunctionCode
		addr     uint16
		quantity int
		ok       bool
	}{
		{modbus.FuncReadCoils, 0, 0, false},
		{modbus.FuncReadCoils, 0, 1, true},
		{modbus.FuncReadCoils, 0, 2000, true},
		{modbus.FuncReadCoils, 0, 2001, false},
		{modbus.FuncReadDiscreteInputs, 0, 2000, true},
		{modbus.FuncReadDiscreteInputs, 0, 2001, false},
		{modbus.FuncReadDiscreteInputs, 0, -1, false},
		{modbus.FuncReadHoldingRegisters, 0, 125, true},
		{modbus.FuncReadHoldingRegisters, 0, 126, false},
		{modbus.FuncReadInputRegisters, 0, 125, true},
		{modbus.FuncReadInputRegisters, 0, 126, false},
		{modbus.FuncReadInputRegisters, 0, 1 << 16, false},
		{modbus.FuncReadInputRegisters, 0, 1<<16 + 1, false},
		{modbus.FuncReadHoldingRegisters, 65535, 1, true},
		{modbus.FuncReadHoldingRegisters, 65535, 2, false},
		{modbus.FuncReadHoldingRegisters, 65530, 6, true},
		{modbus.FuncReadHoldingRegisters, 65530, 7, false},
		{modbus.FuncReadCoils, 63536, 2000, true},
		{modbus.FuncReadCoils, 63537, 2000, false},
		{0, 0, 1, false},
		{modbus.FuncWriteCoil, 0, 1, false},
		{modbus.FuncWriteRegisters, 0, 1, false},
		{0x83, 0, 1, false},
	}
	for _, tt := range tests {
		req, err := modbus.ReadRequest(tt.fc, tt.addr, tt.quantity)
		if (err == nil) != tt.ok {
			t.Errorf("function %d, %d items from %d: %v", tt.fc, tt.quantity, tt.addr, err)
		}
		if err != nil {
			continue
		}
		want := modbus.Request{Function: tt.fc, Addr: tt.addr, Quantity: tt.quantity}
		if got, err := modbus.ParseRequest(req); err != nil || !cmp.Equal(got, want) {
			t.Errorf("% X parses to %+v, %v, want %+v", req, got, err, want)
		}
	}
}

func TestWritesKeepTheLimitsOfTheStandard(t *testing.T) {
	tests := []struct {
		addr             uint16
		quantity         int
		coils, registers bool
	}{
		{0, 0, false, false},
		{0, 1, true, true},
		{0, 123, true, true},
		{0, 124, true, false},
		{0, 1968, true, false},
		{0, 1969, false, false},
		{65535, 1, true, true},
		{65535, 2, false, false},
		{65413, 123, true, true},
		{65414, 123, false, false},
	}
	for _, tt := range tests {
		if _, err := modbus.WriteCoils(tt.addr, make([]bool, tt.quantity)); (err == nil) != tt.coils {
			t.Errorf("%d coils from %d: %v", tt.quantity, tt.addr, err)
		}
		if _, err := modbus.WriteRegisters(tt.addr, make([]uint16, tt.quantity)); (err == nil) != tt.registers {
			t.Errorf("%d registers from %d: %v", tt.quantity, tt.addr, err)
		}
	}
}

// The frames are the examples of V1.1b3, sections 6.1 to 6.6, 6.11 and 6.12.
func TestRequestsAreThoseOfTheStandard(t *testing.T) {
	coils, err := modbus.WriteCoils(0x13, []bool{true, false, true, true, false, false, true, true, true, false})
	if err != nil {
		t.Fatal(err)
	}
	registers, err := modbus.WriteRegisters(1, []uint16{0x000A, 0x0102})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ got, want modbus.PDU }{
		{read(t, modbus.FuncReadCoils, 0x13, 0x13), modbus.PDU{1, 0, 0x13, 0, 0x13}},
		{read(t, modbus.FuncReadDiscreteInputs, 0xC4, 0x16), modbus.PDU{2, 0, 0xC4, 0, 0x16}},
		{read(t, modbus.FuncReadHoldingRegisters, 0x6B, 3), modbus.PDU{3, 0, 0x6B, 0, 3}},
		{read(t, modbus.FuncReadInputRegisters, 8, 1), modbus.PDU{4, 0, 8, 0, 1}},
		{modbus.WriteCoil(0xAC, true), modbus.PDU{5, 0, 0xAC, 0xFF, 0}},
		{modbus.WriteCoil(0xAC, false), modbus.PDU{5, 0, 0xAC, 0, 0}},
		{modbus.WriteRegister(1, 3), modbus.PDU{6, 0, 1, 0, 3}},
		{coils, modbus.PDU{15, 0, 0x13, 0, 10, 2, 0xCD, 1}},
		{registers, modbus.PDU{16, 0, 1, 0, 2, 4, 0, 0x0A, 1, 2}},
	}
	for _, tt := range tests {
		if !bytes.Equal(tt.got, tt.want) {
			t.Errorf("got % X, want % X", tt.got, tt.want)
		}
	}
}

func TestMalformedRequestsAreDeclined(t *testing.T) {
	tests := []struct {
		req  modbus.PDU
		want modbus.Exception
	}{
		{nil, modbus.IllegalFunction},
		{modbus.PDU{7, 0}, modbus.IllegalDataValue},
		{modbus.PDU{99}, modbus.IllegalFunction},
		{modbus.PDU{0x83, 0, 0, 0, 1}, modbus.IllegalFunction},
		{modbus.PDU{3, 0, 0, 0}, modbus.IllegalDataValue},
		{modbus.PDU{3, 0, 0, 0, 1, 0}, modbus.IllegalDataValue},
		{modbus.PDU{3, 0, 0, 0, 0}, modbus.IllegalDataValue},
		{modbus.PDU{3, 0, 0, 0, 126}, modbus.IllegalDataValue},
		{modbus.PDU{1, 0, 0, 7, 209}, modbus.IllegalDataValue},
		{modbus.PDU{3, 0xFF, 0xFF, 0, 2}, modbus.IllegalDataAddress},
		{modbus.PDU{5, 0, 0, 0xFF, 1}, modbus.IllegalDataValue},
		{modbus.PDU{5, 0, 0, 1, 0}, modbus.IllegalDataValue},
		{modbus.PDU{6, 0, 0, 0, 1, 0}, modbus.IllegalDataValue},
		{modbus.PDU{15, 0, 0, 0, 9, 1, 0}, modbus.IllegalDataValue},
		{modbus.PDU{15, 0, 0, 0, 9, 2, 0}, modbus.IllegalDataValue},
		{modbus.PDU{15, 0, 0, 0, 9}, modbus.IllegalDataValue},
		{modbus.PDU{16, 0, 0, 0, 1, 2, 0, 0, 0}, modbus.IllegalDataValue},
		{modbus.PDU{16, 0, 0, 0, 0, 0}, modbus.IllegalDataValue},
		{modbus.PDU{16, 0xFF, 0xFF, 0, 2, 4, 0, 0, 0, 0}, modbus.IllegalDataAddress},
	}
	for _, tt := range tests {
		if _, err := modbus.ParseRequest(tt.req); err != tt.want {
			t.Errorf("% X: %v, want %v", tt.req, err, tt.want)
		}
	}
}

func TestValuesComeBackAsTheyWent(t *testing.T) {
	for n := 1; n <= 20; n++ {
		bits, registers := make([]bool, n), make([]uint16, n)
		for i := range n {
			bits[i] = i%3 == 0
			registers[i] = uint16(i*0x1234 + 0xFFF0)
		}
		var bank modbus.Bank
		bank.Set(modbus.Coils, 65516, make([]uint16, 20)...)
		bank.Set(modbus.HoldingRegisters, 65516, make([]uint16, 20)...)
		for _, write := range []func() (modbus.PDU, error){
			func() (modbus.PDU, error) { return modbus.WriteCoils(65516, bits) },
			func() (modbus.PDU, error) { return modbus.WriteRegisters(65516, registers) },
		} {
			req, err := write()
			if err != nil {
				t.Fatal(err)
			}
			if resp, _ := bank.Handle(1, req); !bytes.Equal(resp, req[:5]) {
				t.Fatalf("% X is answered with % X", req, resp)
			}
		}
		resp, _ := bank.Handle(1, read(t, modbus.FuncReadCoils, 65516, n))
		if got, err := modbus.Bits(resp, n); err != nil || !slices.Equal(got, bits) {
			t.Errorf("got %v, %v, want %v", got, err, bits)
		}
		resp, _ = bank.Handle(1, read(t, modbus.FuncReadHoldingRegisters, 65516, n))
		if got, err := modbus.Registers(resp); err != nil || !slices.Equal(got, registers) {
			t.Errorf("got %v, %v, want %v", got, err, registers)
		}
	}
}

func TestAnswersOfAnotherKindAreNoValues(t *testing.T) {
	for _, resp := range []modbus.PDU{
		nil,
		{3},
		{3, 2, 0},
		{3, 2, 0, 0, 0},
		{3, 3, 0, 0, 0},
		{0x83, 2},
		{1, 2, 0, 0},
		{6, 0, 1, 0, 3},
	} {
		if got, err := modbus.Registers(resp); err == nil {
			t.Errorf("% X holds registers %v", resp, got)
		}
	}
	for _, tt := range []struct {
		resp     modbus.PDU
		quantity int
	}{
		{nil, 0},
		{modbus.PDU{1, 1, 0xFF}, 9},
		{modbus.PDU{1, 2, 0xFF, 0xFF}, 8},
		{modbus.PDU{1, 1, 0xFF}, -1},
		{modbus.PDU{3, 2, 0, 0}, 16},
	} {
		if got, err := modbus.Bits(tt.resp, tt.quantity); err == nil {
			t.Errorf("% X holds %d bits %v", tt.resp, tt.quantity, got)
		}
	}
}

func TestExceptionsAreNamed(t *testing.T) {
	if got, want := modbus.IllegalDataAddress.Error(), "exception 02: illegal data address"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := modbus.Exception(0xC7).Error(), "exception C7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
