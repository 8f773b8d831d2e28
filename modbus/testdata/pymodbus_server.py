# Units 1 and 2 of pymodbus 3.0: register n holds n + 1000, coil and input n are
# on where n is odd; each has 200 of everything. Arguments: a port for RTU and
# one for ASCII. It says "ready" with the TCP ports for MBAP, RTU and ASCII.
import asyncio
import sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.framer.ascii_framer import ModbusAsciiFramer
from pymodbus.framer.rtu_framer import ModbusRtuFramer
from pymodbus.framer.socket_framer import ModbusSocketFramer
from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer


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


def context():
    return ModbusServerContext(slaves={1: unit(), 2: unit()}, single=False)


async def main():
    identity = ModbusDeviceIdentification(info_name={"VendorName": "peer", "ProductCode": "PM", "MajorMinorRevision": "3.0"})
    running, ports = [], []
    for framer in ModbusSocketFramer, ModbusRtuFramer, ModbusAsciiFramer:
        s = await StartAsyncTcpServer(context(), identity, ("127.0.0.1", 0), framer=framer, defer_start=True)
        running.append(asyncio.create_task(s.serve_forever()))
        await s.serving
        ports.append(str(s.server.sockets[0].getsockname()[1]))
    for device, framer in zip(sys.argv[1:], (ModbusRtuFramer, ModbusAsciiFramer)):
        s = await StartAsyncSerialServer(context(), identity, framer=framer, port=device, baudrate=19200, timeout=0.005, defer_start=True)
        await s.start()
        running.append(asyncio.create_task(s.serve_forever()))
    print("ready", *ports, file=sys.stderr, flush=True)
    await asyncio.gather(*running)


asyncio.run(main())
