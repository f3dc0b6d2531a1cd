import t from 'tap';
import {
  limitKeys,
  limitsInForce,
  parseLimits,
  rbdMutableParameterNames,
  refuseBadBursts,
} from '../../../src/backend/rbd/mutable-parameters.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });

t.test("names are Ceph's, and each stands for one key of image metadata", (t) => {
  t.equal(rbdMutableParameterNames.length, 18);
  t.same(new Set(limitKeys).size, 18);
  t.ok(limitKeys.includes('conf_rbd_qos_iops_limit'));
  t.ok(limitKeys.includes('conf_rbd_qos_read_bps_burst'));
  t.ok(limitKeys.includes('conf_rbd_qos_write_iops_burst_seconds'));
  t.end();
});

t.test('limits become metadata that librbd reads: plain numbers', (t) => {
  const limits = parseLimits({ qosIopsLimit: '10k', qosWriteBpsLimit: '2Mi', qosWriteBpsBurst: '0' });
  t.strictSame(Object.fromEntries(limits), {
    conf_rbd_qos_iops_limit: '10000',
    conf_rbd_qos_write_bps_limit: '2097152',
    conf_rbd_qos_write_bps_burst: '0',
  });
  t.equal(parseLimits({}).size, 0);
  t.end();
});

t.test('what is no limit is refused by its name', (t) => {
  t.throws(() => parseLimits({ qosIopsLimit: 'fast' }), refused(/^mutable parameter qosIopsLimit is "fast".*2Mi/));
  t.throws(() => parseLimits({ qosIopsLimit: '' }), refused(/^mutable parameter qosIopsLimit is ""/));
  t.throws(() => parseLimits({ qosIopsBurstSeconds: '0' }), refused(/qosIopsBurstSeconds is "0".*from 1/));
  t.throws(() => parseLimits({ qosIOPSLimit: '1' }), refused(/"qosIOPSLimit" is unknown: did you mean "qosIopsLimit"/));
  t.throws(() => parseLimits({ rbd_qos_write_bps_burst: '1' }), refused(/did you mean "qosWriteBpsBurst"/));
  t.end();
});

t.test('a burst below its limit is refused, with what the image has already counted in', (t) => {
  const check = (wanted: Record<string, string>, present: Record<string, string> = {}) => {
    refuseBadBursts(parseLimits(wanted), parseLimits(present));
  };
  t.doesNotThrow(() => {
    check({ qosIopsLimit: '10', qosIopsBurst: '10' });
    check({ qosIopsBurst: '20' }, { qosIopsLimit: '10' });
    check({ qosIopsLimit: '10' });
    check({ qosIopsLimit: '0' }, { qosIopsLimit: '10', qosIopsBurst: '20' });
    check({ qosIopsBurst: '0', qosIopsLimit: '30' }, { qosIopsLimit: '10', qosIopsBurst: '20' });
    check({ qosBpsLimit: '5' }, { qosIopsLimit: '10', qosIopsBurst: '1' });
  });
  const both = refused(/qosIopsBurst would be \d+ and qosIopsLimit \d+/);
  t.throws(() => {
    check({ qosIopsLimit: '10', qosIopsBurst: '9' });
  }, both);
  t.throws(() => {
    check({ qosIopsLimit: '30' }, { qosIopsLimit: '10', qosIopsBurst: '20' });
  }, both);
  t.throws(() => {
    check({ qosIopsBurst: '20' });
  }, both);
  t.end();
});

t.test('limits of 0, bursts and seconds are no limits in force', (t) => {
  t.same(limitsInForce(parseLimits({ qosIopsLimit: '0', qosBpsBurst: '1', qosReadBpsBurstSeconds: '2' })), []);
  t.same(limitsInForce(parseLimits({ qosReadIopsLimit: '1', qosIopsLimit: '0' })), ['qosReadIopsLimit']);
  t.end();
});
