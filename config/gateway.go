package config

import (
	"slices"
	"strconv"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/gateway"
)

// Gateway lets local clients share a line.
type Gateway struct {
	Line   string // name of the line or endpoint
	Listen string // host:port
	TLS    *TLS   // nil: in the clear
	Door   gateway.DoorOptions
}

func (r *reader) gateways(root *table, ls []Line, us []*unit) (gs []Gateway) {
	for _, t := range root.subs("gateway") {
		gs = append(gs, r.gateway(t, ls, us))
	}
	return gs
}

func (r *reader) gateway(t *table, ls []Line, us []*unit) Gateway {
	g := Gateway{Line: t.needText("line", "the name of a line or an endpoint"), Listen: t.needText("listen", "host:port, as 127.0.0.1:502")}
	t.name = "gateway " + strconv.Quote(g.Listen)
	if g.Listen != "" {
		t.checkAddress("listen", g.Listen)
	}
	i := slices.IndexFunc(ls, func(l Line) bool { return l.Name == g.Line })
	if i < 0 {
		if g.Line != "" {
			t.fail("line", "there is no line or endpoint %q", g.Line)
		}
		return g
	}
	framing := streams[t.choice("framing", "tcp", "tcp", "rtu-over-tcp", "ascii-over-tcp")]
	g.TLS = r.tls(t, framing)
	g.Door = gateway.DoorOptions{
		Framing:    framing,
		Units:      map[modbus.UnitID]modbus.UnitID{},
		MaxAge:     t.duration("max_age", time.Second, 0, time.Hour),
		MaxClients: t.integer("max_clients", 8, 1, 64),
		Idle:       t.duration("idle", 5*time.Minute, time.Second, 24*time.Hour),
		Readers:    t.roles("readers", g.TLS),
	}
	on := slices.DeleteFunc(slices.Clone(us), func(u *unit) bool { return u.line != g.Line })
	for _, u := range on {
		g.Door.Units[u.id] = u.id
	}
	if t.has("default_unit") {
		id := modbus.UnitID(t.integer("default_unit", 1, 1, 247))
		g.Door.Units[0], g.Door.Units[255] = id, id
	}
	for _, wt := range t.subs("write") {
		if ls[i].Listen > 0 {
			t.fail("write", "can't be: line %q is only listened to", g.Line)
		}
		g.Door.Writes = append(g.Door.Writes, wt.write(on, g.TLS)...)
	}
	return g
}

// roles are those in clients' certificates; nil for everybody.
func (t *table) roles(key string, secure *TLS) []string {
	roles := t.words(key)
	switch {
	case !t.has(key):
	case len(roles) == 0:
		t.fail(key, "is empty: leave the key out for everybody, or name the roles")
	case secure == nil:
		t.fail(key, "are roles in certificates: they need tls")
	}
	return roles
}

// writes are the functions that write a table.
var writes = map[modbus.FunctionCode][]modbus.FunctionCode{
	modbus.FuncReadCoils:            {modbus.FuncWriteCoil, modbus.FuncWriteCoils},
	modbus.FuncReadHoldingRegisters: {modbus.FuncWriteRegister, modbus.FuncWriteRegisters},
}

// write reads what clients may write to one of the units.
func (t *table) write(us []*unit, secure *TLS) (ws []gateway.Write) {
	name := t.needText("unit", "the name of one on the gateway's line")
	given := t.has("addresses")
	roles := t.roles("roles", secure)
	i := slices.IndexFunc(us, func(u *unit) bool { return u.name == name })
	if i < 0 {
		if name != "" {
			t.fail("unit", "there is no unit %q on the gateway's line", name)
		}
		return nil
	}
	if !given {
		t.fail("addresses", "are missing: what may be written, as the unit's points count, as [\"40100-40109\"]")
	}
	for _, r := range t.ranges("addresses", us[i]) {
		if writes[r.Function] == nil {
			t.fail("addresses", "input registers and discrete inputs can't be written")
		}
		ws = append(ws, gateway.Write{Unit: us[i].id, Functions: writes[r.Function], First: r.Addr, Last: r.Addr + uint16(r.Quantity-1), Roles: roles})
	}
	return ws
}
