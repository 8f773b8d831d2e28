# A client of pymodbus 3.0 that uses unit 1 and prints what it gets. Arguments:
# rtu, ascii or tcp, and the device or the TCP port.
import sys
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.diag_message import ReturnQueryDataRequest, ReturnSlaveMessageCountRequest
from pymodbus.file_message import FileRecord, ReadFifoQueueRequest, ReadFileRecordRequest, WriteFileRecordRequest
from pymodbus.framer.ascii_framer import ModbusAsciiFramer
from pymodbus.framer.rtu_framer import ModbusRtuFramer
from pymodbus.mei_message import ReadDeviceInformationRequest
from pymodbus.other_message import (
    GetCommEventCounterRequest,
    GetCommEventLogRequest,
    ReadExceptionStatusRequest,
    ReportSlaveIdRequest,
)

kind, where = sys.argv[1:]
if kind == "tcp":
    c = ModbusTcpClient("127.0.0.1", port=int(where))
else:
    framer = {"rtu": ModbusRtuFramer, "ascii": ModbusAsciiFramer}[kind]
    c = ModbusSerialClient(where, framer=framer, baudrate=19200, timeout=10)
c.connect()


def bits(r):
    return [int(b) for b in r.bits]


def say(fc, *what):
    print(fc, *what, flush=True)


say(1, bits(c.read_coils(0, 8, slave=1)))
say(2, bits(c.read_discrete_inputs(3, 8, slave=1)))
say(3, c.read_holding_registers(10, 3, slave=1).registers)
say(3, sum(c.read_holding_registers(0, 125, slave=1).registers))
say(4, c.read_input_registers(199, 1, slave=1).registers)
say(5, c.write_coil(0, True, slave=1).value)
say(6, c.write_register(5, 0xBEEF, slave=1).value)
say(15, c.write_coils(1, [False, True, True], slave=1).count)
say(16, c.write_registers(6, [1, 2, 3], slave=1).count)
say(1, bits(c.read_coils(0, 8, slave=1)))
say(3, c.read_holding_registers(4, 6, slave=1).registers)
r = c.mask_write_register(address=6, and_mask=0xFF00, or_mask=0x0042, unit=1)
say(22, r.and_mask, r.or_mask)
say(23, c.readwrite_registers(read_address=6, read_count=2, write_address=7, write_registers=[77], unit=1).registers)
say("exception", c.read_coils(199, 2, slave=1).exception_code)

r = c.execute(ReadExceptionStatusRequest(unit=1))
say(7, r.status)
say(8, c.execute(ReturnQueryDataRequest(0x1234, unit=1)).message)
say(8, c.execute(ReturnSlaveMessageCountRequest(unit=1)).message)
r = c.execute(GetCommEventCounterRequest(unit=1))
say(11, r.count)
r = c.execute(GetCommEventLogRequest(unit=1))
say(12, r.event_count, r.message_count, len(r.events))
say(17, c.execute(ReportSlaveIdRequest(unit=1)).identifier)
record = FileRecord(file_number=4, record_number=1, record_data=b"\x12\x34\x56\x78", record_length=2)
r = c.execute(WriteFileRecordRequest([record], unit=1))
say(21, [x.record_data for x in r.records])
wanted = FileRecord(file_number=4, record_number=0, record_length=3)
r = c.execute(ReadFileRecordRequest([wanted], unit=1))
say(20, [x.record_data for x in r.records])
say(24, c.execute(ReadFifoQueueRequest(9, unit=1)).values)
say(43, c.execute(ReadDeviceInformationRequest(1, unit=1)).information)
