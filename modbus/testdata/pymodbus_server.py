# Units 1 and 2 of pymodbus 3.0 on a serial port: register n holds n + 1000,
# coil and input n are on where n is odd. Each unit has 200 of everything.
import sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.framer.rtu_framer import ModbusRtuFramer
from pymodbus.server import StartSerialServer


def unit():
    bits = [n % 2 == 1 for n in range(200)]
    registers = [n + 1000 for n in range(200)]
    return ModbusSlaveContext(
        di=ModbusSequentialDataBlock(0, list(bits)),
        co=ModbusSequentialDataBlock(0, list(bits)),
        hr=ModbusSequentialDataBlock(0, list(registers)),
        ir=ModbusSequentialDataBlock(0, list(registers)),
        zero_mode=True,
    )


StartSerialServer(
    context=ModbusServerContext(slaves={1: unit(), 2: unit()}, single=False),
    framer=ModbusRtuFramer,
    port=sys.argv[1],
    baudrate=19200,
    timeout=0.005,
    stopbits=1,
    bytesize=8,
    parity="N",
)
