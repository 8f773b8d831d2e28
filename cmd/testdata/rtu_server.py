"""A Modbus RTU unit whose registers prove themselves: register 0 counts, and
every other one follows from the count, so that a reading taken at any moment can
be checked against the count in the same scan.

Usage: rtu_server.py PORT BAUD"""
import struct
import sys
import threading
import time

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.framer.rtu_framer import ModbusRtuFramer
from pymodbus.server import StartSerialServer


def registers(n):
    """The unit's 40 holding registers at count n."""
    words = [n & 0xFFFF, (n * 7919) & 0xFFFF]
    words += struct.unpack(">2H", struct.pack(">f", n * 0.1))  # float32, ABCD
    words += reversed(struct.unpack(">2H", struct.pack(">i", -n * 100003)))  # int32, CDAB
    words += struct.unpack(">4H", struct.pack(">d", n / 3))  # float64, ABCDEFGH
    return words + [(n * k) & 0xFFFF for k in range(10, 40)]


block = ModbusSequentialDataBlock(0, registers(0))
unit = ModbusSlaveContext(hr=block, ir=block, di=block, co=block, zero_mode=True)


def count():
    n = 0
    while True:
        time.sleep(0.05)
        n += 1
        block.setValues(0, registers(n))


threading.Thread(target=count, daemon=True).start()
StartSerialServer(
    context=ModbusServerContext(slaves={1: unit}, single=False),
    framer=ModbusRtuFramer, port=sys.argv[1], baudrate=int(sys.argv[2]), timeout=0.005,
    stopbits=1, bytesize=8, parity="N",
)
