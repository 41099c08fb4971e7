/** Tests of TensorFlow's own kernels run where `npm run setup` has prepared them. */
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';

/** Makes TensorFlow on the CPU the current backend; false where it is not prepared, and then nothing has changed. */
export async function useNativeBackend(): Promise<boolean> {
  const { EMIXER_BACKEND: _, ...env } = process.env;
  return loadBackend({ ...backendOptionsFromEnvironment(env), demand: 'native' }).then(
    () => true,
    () => false,
  );
}
